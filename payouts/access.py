"""Who may see a household's own page: whoever knows its address, which stands on its papers alone, and has its PIN.

Each try is counted before it is looked at, so that no number of tries at the same moment gets more than five through.
"""

import secrets
from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import note
from payouts import messages_to_households
from payouts.models import HouseholdPin
from trees.models import Household
from trees.models.households import NEW_PAGE_KEY

DIGITS = 6
TRIES = 5
LONGEST_LOCK = timedelta(days=1)
OPEN_FOR = timedelta(minutes=30)
SENT_A_DAY = 3
SESSION_KEY = "household"


def set_pin(household: Household, pin: str, *, by: User, reason: str) -> None:
    """Gives a household a new PIN; those before and what was opened with them end, and so does a lock.

    `by` is the officer before whom it was chosen or drawn. Raises DomainError for what is not six digits, or easily
    guessed.
    """
    if not (len(pin) == DIGITS and pin.isascii() and pin.isdigit()):
        raise DomainError("bad_pin", _("A PIN has 6 digits. Enter 6 digits."))
    if _is_weak(household, pin):
        raise DomainError("weak_pin", _("This PIN is easily guessed. Choose one that is not in a row or on a card."))
    hashed = _hash(household, pin)
    with transaction.atomic():
        row = _locked_row(household)
        row.hashed, row.sent_hashed, row.version = hashed, "", row.version + 1
        row.set_at, row.set_by, row.wrong, row.locked_until = timezone.now(), by, 0, None
        row.save()
        note(row, "", "set", by=by, reason=reason)


def draw_pin(household: Household, *, by: User, reason: str) -> str:
    """Draws a PIN at random, sets it and returns it; nowhere else is it ever in clear."""
    pin = _random_pin(household)
    set_pin(household, pin, by=by, reason=reason)
    return pin


@transaction.atomic
def send_pin(household: Household) -> None:
    """Sends a new PIN to the registered mobile number, at most three a day. Says to nobody whether it did.

    It takes the place of the household's PIN once it is entered: whoever asks for it has the paper, and need not be the
    household. A lock ends at once, but the locks go on growing.
    """
    row, today = _locked_row(household), timezone.localdate()
    sent = row.sent if row.sent_on == today else 0
    if not household.phone or sent >= SENT_A_DAY:
        return
    pin = _random_pin(household)
    row.sent_on, row.sent, row.sent_hashed = today, sent + 1, _hash(household, pin)
    row.wrong -= row.wrong % TRIES
    row.locked_until = timezone.now() if row.wrong else None
    row.save()
    note(row, "", "sent", by=None, reason="asked for by SMS")
    messages_to_households.tell_pin(household, pin, number=f"{today}:{row.sent}")


def enter_pin(household: Household, pin: str) -> HouseholdPin:
    """Checks a PIN. Raises DomainError when it is not right, and while too many wrong ones lock the page."""
    row = _count_try(household)
    as_it_was = HouseholdPin.objects.filter(pk=row.pk, version=row.version)
    if _opens(household, pin, row.hashed):
        as_it_was.update(wrong=0, locked_until=None)
    elif _opens(household, pin, row.sent_hashed):
        _take_sent(row)
    else:
        raise _wrong(row)
    return row


@transaction.atomic
def renew_page(household: Household, *, by: User) -> None:
    """Gives the household's page a new address; the former one is that of no page from then on, in SMS too."""
    row = _locked_row(household)
    Household.objects.filter(pk=household.pk).update(page_key=NEW_PAGE_KEY)
    note(row, "", "new address", by=by, reason="the paper may be in other hands")


@transaction.atomic
def lift_lock(household: Household, *, by: User) -> None:
    """Lets a locked household try again; the officer has it before them."""
    row = _locked_row(household)
    row.wrong, row.locked_until = 0, None
    row.save(update_fields=["wrong", "locked_until"])
    note(row, "locked", "lifted", by=by, reason="lifted by the officer")


def open_page(session: MutableMapping[str, Any], row: HouseholdPin) -> None:
    """Has a device remember for 30 minutes that the PIN was right. One household at a time."""
    until = (timezone.now() + OPEN_FOR).timestamp()
    session[SESSION_KEY] = {"household": row.household_id, "version": row.version, "until": until}


def is_open(session: MutableMapping[str, Any], household: Household) -> bool:
    """Whether this device may show the household's page: the right PIN was entered on it and is still the PIN."""
    known = session.get(SESSION_KEY)
    if not known or known["household"] != household.pk or known["until"] <= timezone.now().timestamp():
        return False
    return HouseholdPin.objects.filter(household=household, version=known["version"]).exists()


def close_page(session: MutableMapping[str, Any]) -> None:
    """Has the device forget."""
    session.pop(SESSION_KEY, None)


def locked_until(household: Household) -> datetime | None:
    """Until when the page takes no PIN; None when it does."""
    row = HouseholdPin.objects.filter(household=household, locked_until__gt=timezone.now()).first()
    return row.locked_until if row else None


def _locked_row(household: Household) -> HouseholdPin:
    rows = HouseholdPin.objects.select_for_update().filter(household=household)
    row = rows.first()
    if row is None:
        HouseholdPin.objects.bulk_create([HouseholdPin(household=household)], ignore_conflicts=True)
        row = rows.get()
    return row


@transaction.atomic
def _count_try(household: Household) -> HouseholdPin:
    """Counts a try as wrong until it proves right; the fifth in a row locks, and each fifth after it twice as long."""
    row, now = _locked_row(household), timezone.now()
    if row.locked_until and row.locked_until > now:
        raise _is_locked(row.locked_until)
    row.wrong += 1
    if row.wrong % TRIES == 0:
        row.locked_until = now + min(timedelta(hours=2 ** min(row.wrong // TRIES - 1, 9)), LONGEST_LOCK)
    row.save(update_fields=["wrong", "locked_until"])
    return row


@transaction.atomic
def _take_sent(row: HouseholdPin) -> None:
    """The PIN that was sent is the household's from now on, unless another was set or sent meanwhile."""
    taken = HouseholdPin.objects.filter(pk=row.pk, version=row.version, sent_hashed=row.sent_hashed).update(
        hashed=row.sent_hashed, sent_hashed="", version=row.version + 1, set_at=timezone.now(), set_by=None, wrong=0,
        locked_until=None,
    )  # fmt: skip
    if taken:
        row.version += 1
        note(row, "", "set", by=None, reason="sent by SMS, and entered")


def _wrong(row: HouseholdPin) -> DomainError:
    left = -row.wrong % TRIES
    if left == 0 and row.locked_until:
        return _is_locked(row.locked_until)
    sentence = ngettext(
        "This PIN is not right. You can try %(left)s more time.",
        "This PIN is not right. You can try %(left)s more times.",
        left,
    )
    return DomainError("wrong_pin", sentence % {"left": left})


def _is_locked(until: datetime) -> DomainError:
    at = date_format(timezone.localtime(until), "DATETIME_FORMAT")
    sentence = _("A wrong PIN was entered too often. Try again after %(time)s, or ask your village officer.")
    return DomainError("pin_locked", sentence % {"time": at}, status=409)


def _secrets(household: Household, pin: str) -> list[str]:
    """What is hashed, under each look-up key, the current one first: a million PINs are soon tried, if one has no more
    than the database."""
    return crypto.digests(f"{household.public_id}|{crypto.normalise(pin)}")


def _hash(household: Household, pin: str) -> str:
    return make_password(_secrets(household, pin)[0])


def _opens(household: Household, pin: str, hashed: str) -> bool:
    return hashed != "" and any(check_password(secret, hashed) for secret in _secrets(household, pin))


def _random_pin(household: Household) -> str:
    pin = ""
    while not pin or _is_weak(household, pin):
        pin = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    return pin


def _is_weak(household: Household, pin: str) -> bool:
    in_a_row = pin in "01234567890123456789" or pin in "98765432109876543210"
    return in_a_row or len(set(pin)) == 1 or pin in household.phone or pin in household.id_number
