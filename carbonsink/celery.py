"""The Celery application. Its rules against lost and doubled tasks are in settings (CELERY_*)."""

import os
from typing import Any

from celery import Celery, signals
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbonsink.settings")

app = Celery("carbonsink")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.worker_init.connect
@signals.beat_init.connect
def refuse_what_must_not_run(**_: Any) -> None:
    """As the web server does: neither worker nor beat starts on settings that production must not have."""
    from carbonsink.checks import refuse_errors

    try:
        refuse_errors()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from error  # Celery only logs what its signals' handlers raise else.


@signals.setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep Django's LOGGING: Celery would otherwise replace the root handlers."""
