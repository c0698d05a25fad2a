"""Days as they are counted here, in the platform's own time."""

from datetime import date, datetime, time, timedelta

from django.utils import timezone


def midnight(day: date) -> datetime:
    """The first moment of a day."""
    return timezone.make_aware(datetime.combine(day, time()))


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day, and that of the next one."""
    return midnight(day), midnight(day + timedelta(days=1))
