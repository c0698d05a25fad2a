"""One at a time, by the database's advisory locks."""

import threading

import pytest
from django.db import connections

from carbonsink.locks import only_one
from tests.ground.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def ask(name: str) -> bool:
    with only_one(name) as mine:
        return mine


def test_while_one_works_others_are_told_no_at_once_and_other_names_are_free() -> None:
    with only_one("sweep") as mine:
        assert mine
        assert at_once(lambda: ask("sweep"), lambda: ask("other")) == [False, True]
    assert at_once(lambda: ask("sweep")) == [True]


def test_whoever_was_told_no_does_not_release_the_other_s_lock() -> None:
    with only_one("sweep"):
        assert at_once(lambda: ask("sweep")) == [False]
        assert at_once(lambda: ask("sweep")) == [False]


def test_an_error_releases_the_lock() -> None:
    with pytest.raises(RuntimeError, match="inside"), only_one("sweep"):
        raise RuntimeError("inside")
    assert at_once(lambda: ask("sweep")) == [True]


def test_a_worker_that_dies_leaves_no_lock_behind() -> None:
    def die() -> None:
        only_one("sweep").__enter__()
        connections.close_all()  # As a killed process does.

    thread = threading.Thread(target=die)
    thread.start()
    thread.join(timeout=20)
    assert at_once(lambda: ask("sweep")) == [True]


def test_of_many_at_once_one_wins() -> None:
    inside = threading.Barrier(8, timeout=20)

    def work() -> bool:
        with only_one("sweep") as mine:
            inside.wait()  # Nobody leaves before all have asked.
            return mine

    assert sorted(at_once(*[work] * 8)) == [False] * 7 + [True]
