"""What a household is told of its account, by SMS, in the transaction of what it tells.

A change is told on the number that the household had before it: the one noted with the account it had until then, the
one noted with the change, and today's. Whoever changes number and account together cannot keep it from the household.
"""

from django.conf import settings
from django.utils.translation import gettext as _

from carbonsink.messages.services import write_message
from payouts import alerts
from payouts.messages_to_households import page_of
from payouts.models import BankAccount


def tell_household(account: BankAccount, what: str) -> None:
    """Tells the household that this version was entered, approved, stopped, bounced or put_back: the name of a
    template, `messages/account_<what>.txt`. Once for each time it happens."""
    household = account.household
    context = {"account": account, "page": page_of(household)}
    happened = account.history().count()
    for number, phone in enumerate(_phones(account)):
        write_message(
            f"account:{account.pk}:{what}:{happened}:{number}",
            to=phone,
            template=f"account_{what}",
            language=settings.LANGUAGE_CODE,
            context=context,
        )


def _phones(account: BankAccount) -> list[str]:
    """The mobile numbers that are told, the oldest first, each once. Where the account before does not fit its seal,
    nobody knows whether its number is the household's: all earlier ones are told then, and people are alarmed."""
    earlier = account.household.bank_accounts.filter(approved_by__isnull=False, version__lt=account.version)
    before = list(earlier.order_by("-version"))
    if before and not before[0].is_sealed:
        text = _("Its former account was changed outside the platform while another one is being set up.")
        alerts.raise_alert("former_account_tampered", str(before[0]), text)
    else:
        before = before[:1]
    phones = [one.phone for one in reversed(before)]
    return list(dict.fromkeys([*phones, account.phone, account.household.phone]))
