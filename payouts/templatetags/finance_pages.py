"""What the navigation of finance's pages says on every one of them."""

from django import template

from payouts import alerts
from purchases.views.finance import what_waits as waits_in_the_market

register = template.Library()


@register.simple_tag
def what_waits() -> dict[str, int]:
    """How much waits on each of finance's pages."""
    return {**waits_in_the_market(), "alerts_open": alerts.open_alerts().count()}
