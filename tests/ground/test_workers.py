"""A worker's processes and a broker that goes away: Celery's own would end the worker."""

import os
import signal
from collections.abc import Iterator

import pytest
from celery.concurrency import get_implementation
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from carbonsink.celery import app
from carbonsink.workers import ProcessPool, TaskPool
from tests.processes import wait_for


@pytest.fixture
def hub() -> Iterator[Hub]:
    former, made = get_event_loop(), Hub()
    set_event_loop(made)
    yield made
    made.close()
    set_event_loop(former)


@pytest.fixture
def pool(hub: Hub) -> Iterator[ProcessPool]:
    made = ProcessPool(processes=1, threads=False, enable_timeouts=True)
    yield made
    made.terminate()
    made.join()


def test_a_worker_s_processes_are_ours() -> None:
    assert get_implementation(app.conf.worker_pool) is TaskPool
    assert TaskPool.Pool is ProcessPool


def test_a_process_that_ended_while_the_broker_was_away_is_replaced_and_watched(pool: ProcessPool, hub: Hub) -> None:
    pool.register_with_event_loop(hub)
    (ended,) = pool._pool
    os.kill(ended.pid, signal.SIGKILL)
    # Its end is seen, and before it is replaced the connection is a new one: all are registered again.
    pool._untrack_child_process(ended, hub)
    hub.reset()
    pool.register_with_event_loop(hub)

    def is_replaced() -> bool:
        pool.maintain_pool()
        return [one.pid for one in pool._pool] not in ([], [ended.pid])

    wait_for(is_replaced)
    (new,) = pool._pool
    pool.register_with_event_loop(hub)
    assert new._sentinel_poll in hub.readers
