"""What a household is told by SMS of its money: short, in Chinese, to the registered number and nowhere else.

Each is written in the transaction of what it tells, once. A Chinese SMS has 70 characters, of which the address of the
household's page takes about 46; the texts are cut to fit. Who has no number gets none.
"""

from typing import Any

from django.conf import settings
from django.urls import reverse

from carbonsink import money
from carbonsink.messages.services import write_message
from payouts.models import Case, Payout
from trees.models import Household


def page_of(household: Household) -> str:
    """The address of a household's own page, as it stands in its QR code. It is for the household's papers and SMS
    alone: who has it can have PINs sent, and lock the page. Without the PIN it shows nothing."""
    return settings.PUBLIC_BASE_URL + reverse("payouts:household", args=[household.page_key])


def tell_arrived(payout: Payout) -> None:
    """Money arrived: how much, when, and the last four digits of the account."""
    digits, yuan = payout.account.last_four, money.yuan(payout.fen)
    context = {"yuan": yuan, "digits": digits, "day": payout.completed_at}
    _tell(payout.household, f"payout-arrived:{payout.pk}", "payout_arrived", **context)


def tell_returned(payout: Payout) -> None:
    """The bank gave money back that went to an account which is not in force any more: it is paid to the new one. That
    an account in force does not work is told by whoever finds it out (`accounts.bounce_account`)."""
    context = {"yuan": money.yuan(payout.fen)}
    _tell(payout.household, f"payout-returned:{payout.pk}", "payout_returned", **context)


def tell_pin(household: Household, pin: str, *, number: str) -> None:
    """The new PIN that somebody with the household's paper asked for; `number` says which: its day and its count."""
    _tell(household, f"household-pin:{household.pk}:{number}", "household_pin", pin=pin)


def tell_answer(case: Case) -> None:
    """Somebody answered what the household said; the answer itself stands on its page."""
    key = f"household-answer:{case.pk}:{case.history().count()}"
    _tell(case.household, key, "household_answer")


def _tell(household: Household, key: str, template: str, **context: Any) -> None:
    if household.phone:
        context["page"] = page_of(household)
        write_message(key, to=household.phone, template=template, language="zh-hans", context=context)
