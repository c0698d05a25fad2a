"""The Celery application. Its rules against lost and doubled tasks are in settings (CELERY_*)."""

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carbonsink.settings")

app = Celery("carbonsink")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep Django's LOGGING: Celery would otherwise replace the root handlers."""
