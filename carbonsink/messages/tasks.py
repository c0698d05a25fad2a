"""The bell for what was written. It finds its work in the database: wiping the broker loses no message."""

from celery import shared_task

from carbonsink.locks import only_one
from carbonsink.messages import sending


@shared_task
def send_messages() -> None:
    """Sends what is due. One sender at a time."""
    with only_one("messages.send") as mine:
        if mine:
            sending.send_due()
