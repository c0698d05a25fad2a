"""Entering and approving households' bank accounts."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.idempotency import once
from carbonsink.states import move, move_many
from payouts.models import BankAccount
from trees import flags
from trees.models import Flag, Household


def check_number(text: str, *, is_card: bool) -> str:
    """The digits of an account number (8 to 32); a card's must pass Luhn, a passbook's need not."""
    number = crypto.normalise(text)
    if not (8 <= len(number) <= 32 and number.isascii() and number.isdigit()):
        raise DomainError("bad_account", _("The account number is not right. Enter its 8 to 32 digits."))
    if is_card and not luhn.is_valid(number):
        raise DomainError("bad_account", _("The card number is not right. Compare each digit with the card."))
    return number


def check_bank_code(text: str) -> str:
    """The 12 digits of a CNAPS code 联行号, whose last one is the ISO 7064 MOD 11,10 check digit."""
    code = crypto.normalise(text)
    if not (len(code) == 12 and code.isascii() and code.isdigit() and mod_11_10.is_valid(code)):
        raise DomainError("bad_bank_code", _("The bank code is not right. Enter the 12 digits of the branch's code."))
    return code


def enter_account(
    *,
    officer: User,
    client_uuid: uuid.UUID,
    household: Household,
    holder: str,
    bank_name: str,
    bank_code: str,
    number: str,
    is_card: bool,
) -> BankAccount:
    """Stores a new version of a household's account, to be approved by somebody else.

    The caller has looked the household up among those the officer may see. Raises DomainError: the holder is not the
    head of household, a number or bank code that fails its check.
    """
    number, bank_code, holder = (
        check_number(number, is_card=is_card),
        check_bank_code(bank_code),
        holder.strip(),
    )
    if crypto.normalise(holder) != crypto.normalise(household.head_name):
        raise DomainError("wrong_holder", _("The account must be in the name of the head of household."))
    content = {"household": household.public_id, "holder": holder, "bank": bank_code, "number": number}
    hashed, *earlier = _hashes(content)

    def store() -> BankAccount:
        # No harder than versions need: a flag of a household that shares the number refers to this row.
        Household.objects.select_for_update(no_key=True).get(pk=household.pk)
        newest = household.bank_accounts.aggregate(version=Max("version", default=0))["version"]
        account = BankAccount.objects.create(
            client_uuid=client_uuid,
            body_hash=hashed,
            household=household,
            version=newest + 1,
            holder=holder,
            bank_name=bank_name.strip(),
            bank_code=bank_code,
            number=number,
            entered_by=officer,
        )
        flags.raise_shared(Flag.Kind.SHARED_ACCOUNT, [households_sharing(number)])
        return account

    return once(BankAccount, client_uuid, hashed, store, earlier=earlier)


def households_sharing(number: str) -> list[int]:
    """Ids of the households that have an account with this number, found under every look-up key. Versions that were
    rejected, such as for a wrong digit, do not count."""
    having = BankAccount.objects.filter(number_digest__in=crypto.digests(number))
    return list(having.exclude(state=BankAccount.State.REJECTED).values_list("household", flat=True).distinct())


def _hashes(content: dict[str, str]) -> list[str]:
    """Hashes of what was sent, one for each look-up key; the values enter as keyed digests."""
    per_key = zip(*(crypto.digests(value) for value in content.values()), strict=True)
    return [body_hash(dict(zip(content, digests, strict=True))) for digests in per_key]


@transaction.atomic
def approve_account(account: BankAccount, *, by: User) -> None:
    """Makes a version the one that payouts go to. A change waits the cooling period, a first version does not.

    Raises DomainError when whoever entered it approves it, it is not waiting any more, or a newer one is approved.
    """
    if account.entered_by_id == by.pk:
        raise DomainError("same_person", _("You entered this account: somebody else must approve it."), status=403)
    Household.objects.select_for_update(no_key=True).get(pk=account.household_id)
    if account.household.bank_accounts.filter(state=BankAccount.State.APPROVED, version__gt=account.version).exists():
        raise DomainError("older_version", _("A newer account of this household is approved: reject this one."), 409)
    now = timezone.now()
    earlier = account.household.bank_accounts.filter(state=BankAccount.State.APPROVED)
    changed = move_many(earlier, BankAccount.State.SUPERSEDED, by=by, reason=f"version {account.version} approved")
    wait = timedelta(hours=settings.ACCOUNT_COOLING_HOURS) if changed else timedelta()
    move(account, BankAccount.State.APPROVED, by=by, approved_by=by, approved_at=now, usable_from=now + wait)


def reject_account(account: BankAccount, *, by: User, reason: str) -> None:
    """Refuses a version that waits for approval."""
    move(account, BankAccount.State.REJECTED, by=by, reason=reason)
