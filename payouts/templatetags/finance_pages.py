"""What the navigation of finance's pages says on every one of them."""

from django import template

from carbonsink.states import Stateful
from payouts import alerts, clarifications, fitting, office_words
from payouts.models import Case, Payout
from purchases.views.finance import what_waits as waits_in_the_market

register = template.Library()
register.filter(office_words.channel_name)
register.filter(office_words.said_by_rule)
register.filter(office_words.thing_name)


@register.simple_tag
def what_waits() -> dict[str, int]:
    """How much waits on each of finance's pages."""
    return {
        **waits_in_the_market(),
        "alerts_open": alerts.open_alerts().count(),
        "rows_open": fitting.in_suspense().count() + clarifications.to_agree().filter(row=None).count(),
        "cases_open": Case.objects.filter(state=Case.State.OPEN, kind=Case.Kind.NOT_ARRIVED).count(),
        "payouts_held": Payout.objects.filter(state=Payout.State.HELD).count(),
    }


@register.filter
def state_name(thing: Stateful, state: str) -> str:
    """A state of this thing's history, as its pages call it."""
    choices = dict(thing._meta.get_field("state").flatchoices)  # type: ignore[misc, union-attr]
    return str(choices.get(state, state))
