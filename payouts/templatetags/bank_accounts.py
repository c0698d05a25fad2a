"""What pages of the registry say of households' bank accounts."""

from typing import Any

from django import template

from payouts.models import BankAccount
from payouts.needed_accounts import needing_account
from trees.models import Household

register = template.Library()


@register.inclusion_tag("payouts/_account_note.html")
def account_note(household: Household) -> dict[str, Any]:
    """Says that the household needs a new account, if the bank could not pay into its last one."""
    bounced = household.bank_accounts.filter(state=BankAccount.State.BOUNCED).first()
    entered = household.bank_accounts.filter(state=BankAccount.State.ENTERED).exists()
    return {"household": household, "bounced": bounced, "entered": entered}


@register.simple_tag
def accounts_bounced(user: Any) -> int:
    """How many of the households a user sees need a new account."""
    return needing_account(Household.objects.visible_to(user)).filter(bounced=True).count()
