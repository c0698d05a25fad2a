"""Entering and approving households' bank accounts, stopping a change, and accounts that the bank could not pay."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.idempotency import once
from carbonsink.locks import one_after_another
from carbonsink.states import move, move_many
from payouts.messages_about_accounts import tell_household
from payouts.models import BankAccount
from trees import flags
from trees.models import Flag, Household


def check_number(text: str, *, is_card: bool, number_checked: bool = False) -> str:
    """The digits of an account number (8 to 32). A card's Luhn check digit is a hint, a passbook has none: where it
    does not fit, somebody must have compared the number with the card (`number_checked`)."""
    number = crypto.normalise(text)
    if not (8 <= len(number) <= 32 and number.isascii() and number.isdigit()):
        raise DomainError("bad_account", _("The account number is not right. Enter its 8 to 32 digits."))
    if is_card and not number_checked and not fits_check_digit(number):
        sentence = _(
            "This card number's check digit does not fit. Compare each digit with the card. If it is a passbook, say"
            " so; if every digit is right all the same, confirm it."
        )
        raise DomainError("bad_account", sentence, confirm="number_checked")
    return number


def fits_check_digit(number: str) -> bool:
    """Whether a card's number ends in its Luhn check digit."""
    return bool(luhn.is_valid(crypto.normalise(number)))


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
    number_checked: bool = False,
) -> BankAccount:
    """Stores a new version of a household's account, to be approved by somebody else. A change is told to the
    household on its old number. `number_checked`: the officer has compared a card's number whose check digit does not
    fit, and whoever approves sees it.

    The caller has looked the household up among those the officer may see. Raises DomainError: the holder is not the
    head of household, a number or bank code that fails its check.
    """
    number, bank_code, holder = (
        check_number(number, is_card=is_card, number_checked=number_checked),
        check_bank_code(bank_code),
        holder.strip(),
    )
    if crypto.normalise(holder) != crypto.normalise(household.head_name):
        raise _wrong_holder()
    content = {"household": household.public_id, "holder": holder, "bank": bank_code, "number": number}
    hashed, *earlier = _hashes(content)

    def store() -> BankAccount:
        _lock_number(number)
        # No harder than versions need: a flag of a household that shares the number refers to this row.
        locked = Household.objects.select_for_update(no_key=True).get(pk=household.pk)
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
            check_digit_fits=not is_card or fits_check_digit(number),
            phone=locked.phone,
            entered_by=officer,
        )
        if _is_change(account):
            tell_household(account, "entered")
        _flag_sharing(number)
        return account

    return once(BankAccount, client_uuid, hashed, store, earlier=earlier)


def households_sharing(number: str) -> list[int]:
    """Ids of the households that have an account with this number, found under every look-up key. Versions that were
    rejected, such as for a wrong digit, do not count."""
    having = _having(number).exclude(state=BankAccount.State.REJECTED)
    return list(having.values_list("household", flat=True).distinct())


def _having(number: str) -> QuerySet[BankAccount]:
    return BankAccount.objects.filter(number_digest__in=crypto.digests(number))


def _lock_number(number: str) -> None:
    """Two households that enter a number at once wait for each other: neither could see the other's row otherwise.
    Always before a household's lock."""
    one_after_another(*crypto.digests(number))


def _flag_sharing(number: str) -> None:
    """Raises a flag about the households that share this number, which the caller has locked; each number has its own,
    so that what was found out about one says nothing about the next."""
    if len(sharing := households_sharing(number)) > 1:
        first = _having(number).earliest("pk")
        flags.raise_shared(Flag.Kind.SHARED_ACCOUNT, [sharing], about=f"account:{first.pk}")


def _hashes(content: dict[str, str]) -> list[str]:
    """Hashes of what was sent, one for each look-up key; the values enter as keyed digests."""
    per_key = zip(*(crypto.digests(value) for value in content.values()), strict=True)
    return [body_hash(dict(zip(content, digests, strict=True))) for digests in per_key]


@transaction.atomic
def approve_account(account: BankAccount, *, by: User) -> None:
    """Makes a version the one that payouts go to. A change waits the cooling period and is told to the household on
    its old number; a first version does neither. What households share is looked at again.

    Raises DomainError when whoever entered it approves it, it is not waiting any more, it was changed by hand
    ("tampered"), it is not the head of household's any more, or a newer one was approved.
    """
    if account.entered_by_id == by.pk:
        raise DomainError("same_person", _("You entered this account: somebody else must approve it."), status=403)
    _lock_number(account.number)
    _lock_household(account)
    _demand_waiting(account)
    _demand_sealed(account)
    _demand_head(account)
    in_force = account.household.bank_accounts.filter(state__in=[BankAccount.State.APPROVED, BankAccount.State.BOUNCED])
    if in_force.filter(version__gt=account.version).exists():
        raise DomainError("older_version", _("A newer account of this household is approved: reject this one."), 409)
    now, is_change = timezone.now(), _is_change(account)
    move_many(in_force, BankAccount.State.SUPERSEDED, by=by, reason=f"version {account.version} approved")
    wait = timedelta(hours=settings.ACCOUNT_COOLING_HOURS) if is_change else timedelta()
    move(account, BankAccount.State.APPROVED, by=by, approved_by=by, approved_at=now, usable_from=now + wait)
    _flag_sharing(account.number)
    if is_change:
        tell_household(account, "approved")


def reject_account(account: BankAccount, *, by: User, reason: str) -> None:
    """Refuses a version that waits for approval."""
    _demand_waiting(account)
    stop_change(account, by=by, reason=reason)


@transaction.atomic
def stop_change(account: BankAccount, *, by: User | None, reason: str) -> None:
    """Stops a version that waits for approval or cools: "this was not me". Nothing ever goes there. If it had been
    approved, nothing goes to the account before it either, until somebody puts that back or another is approved.

    `by` is None where the household did it itself. Raises DomainError without a reason, and once the cooling time is
    over.
    """
    _demand_reason(reason)
    _lock_household(account)
    account.refresh_from_db()
    cools = account.state == BankAccount.State.APPROVED and not _is_usable(account)
    if account.state != BankAccount.State.ENTERED and not cools:
        sentence = _("It is too late to stop this change. Enter another account, or have finance stop payments to it.")
        raise DomainError("too_late", sentence, status=409)
    move(account, BankAccount.State.REJECTED, by=by, reason=reason)
    if _is_change(account):
        tell_household(account, "stopped")


@transaction.atomic
def bounce_account(account: BankAccount, *, reason: str, by: User | None = None) -> bool:
    """Notes that money cannot be paid to this version: nothing goes there again before a person has put it back, or
    another version is approved. The household is told. Returns whether it was the account in force.

    Called in the transaction that ends a payout for the account's sake, or by a person.
    """
    if not move_many(BankAccount.objects.filter(pk=account.pk), BankAccount.State.BOUNCED, by=by, reason=reason):
        return False
    tell_household(account, "bounced")
    return True


@transaction.atomic
def put_back_account(account: BankAccount, *, by: User, reason: str) -> None:
    """Puts back in force what bounced for a reason that has passed, or what a stopped change had superseded. It does
    not cool again: it is the account that the household had. The household is told.

    Raises DomainError without a reason, for whoever entered it or stopped the change, when it is not the last one that
    was in force, was changed by hand, or is not the head of household's any more.
    """
    _demand_reason(reason)
    if account.entered_by_id == by.pk:
        raise DomainError("same_person", _("You entered this account: somebody else must put it back."), status=403)
    _lock_household(account)
    versions, rejected = account.household.bank_accounts.order_by("-version"), BankAccount.State.REJECTED
    for stopped in versions.filter(state=rejected, version__gt=account.version):
        if stopped.history().filter(to_state=rejected, by=by).exists():
            raise DomainError("same_person", _("You stopped the change: somebody else must put this one back."), 403)
    if versions.exclude(state__in=[BankAccount.State.ENTERED, rejected]).first() != account:
        raise DomainError("wrong_state", _("This is not the household's last account any more. Reload the page."), 409)
    _demand_sealed(account)
    _demand_head(account)
    move(account, BankAccount.State.APPROVED, by=by, reason=reason, approved_by=by, approved_at=timezone.now())
    tell_household(account, "put_back")


def _lock_household(account: BankAccount) -> None:
    """One decision about a household's accounts at a time; with the household as it is now."""
    account.household = Household.objects.select_for_update(no_key=True).get(pk=account.household_id)


def _demand_waiting(account: BankAccount) -> None:
    account.refresh_from_db(fields=["state"])
    if account.state != BankAccount.State.ENTERED:
        raise DomainError("wrong_state", _("This account does not wait for approval any more. Reload the page."), 409)


def _demand_sealed(account: BankAccount) -> None:
    if not account.is_sealed:
        sentence = _("This account is not what was entered: it was changed outside the platform. Reject it.")
        raise DomainError("tampered", sentence, status=409)


def _demand_head(account: BankAccount) -> None:
    """The household may have another head since the account was entered."""
    if not account.is_of_head:
        raise _wrong_holder(409)


def _wrong_holder(status: int = 400) -> DomainError:
    sentence = _("The account must be in the name of the head of household.")
    return DomainError("wrong_holder", sentence, status)


def _is_change(account: BankAccount) -> bool:
    """Whether the household has had another account in force, ever."""
    others = account.household.bank_accounts.exclude(pk=account.pk)
    return others.filter(approved_by__isnull=False).exists()


def _is_usable(account: BankAccount) -> bool:
    return account.usable_from is not None and account.usable_from <= timezone.now()


def _demand_reason(reason: str) -> None:
    if not reason.strip():
        raise DomainError("no_reason", _("Write down why."))
