"""The processes of a Celery worker, which outlive a broker that goes away again while they come back."""

from typing import Any

from celery.concurrency import asynpool, prefork


class ProcessPool(asynpool.AsynPool):
    """As Celery's, but for a process that has ended and is not replaced yet when the connection is new."""

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watches for the end of a process. One whose end was seen has no descriptor any more, over which Celery 5.6.3
        ends the whole worker; the pool replaces it within seconds and then watches the new one."""
        if getattr(proc, "_sentinel_poll", 0) is not None:
            super()._track_child_process(proc, hub)


class TaskPool(prefork.TaskPool):
    """What `CELERY_WORKER_POOL` names."""

    Pool = ProcessPool
