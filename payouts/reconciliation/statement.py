"""Ledger against the bank's statement: the rows of a day asked for once more, and the balance at its end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from carbonsink.days import bounds
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.money import closing_fen
from payouts import statements, whole_files
from payouts.banks import bank, by_file
from payouts.banks.base import BankError, Movement, TellsBalance
from payouts.models import Clarification, Discrepancy, Payout, StatementBalance, StatementRow
from payouts.reconciliation.found import Found, Look, working_days_before

log = structlog.get_logger(__name__)
Kind = Discrepancy.Kind
# What only the bank can tell to be well again.
ONLY_THE_BANK = (Kind.ROW_GONE, Kind.ROW_CHANGED, Kind.BALANCE)
# The sums of the account, by what its rows are.
NAMES = {
    StatementRow.Kind.SETTLEMENT: "settled",
    StatementRow.Kind.SPONSOR: "sponsor",
    StatementRow.Kind.PAYOUT: "paid_out",
    StatementRow.Kind.RETURN: "returned",
    StatementRow.Kind.SUSPENSE: "unknown",
}
# What a row is told under on the bank's side: what a whole file was debited for was paid out too.
_THEIRS = {**NAMES, StatementRow.Kind.FILE: NAMES[StatementRow.Kind.PAYOUT]}


@dataclass(frozen=True)
class Told:
    """What a bank says of a day when it is asked once more; None where it cannot be asked. `is_silent`: it does not
    answer, or its statement of the day has not come."""

    code: str
    movements: list[Movement] | None
    closing_fen: int | None
    is_silent: bool = False


def codes(day: date) -> list[str]:
    """The banks on whose accounts something happened on a day, and the one that pays now."""
    begin, end = bounds(day)
    rows = StatementRow.objects.filter(booked_at__gte=begin, booked_at__lt=end).values_list("bank", flat=True)
    paid = _paid(begin, end).values_list("bank", flat=True)
    return sorted({settings.PAYOUT_BANK, *rows.distinct().order_by("bank"), *paid.distinct().order_by("bank")} - {""})


def ask(code: str, day: date) -> Told:
    """Asks a bank for all rows of a day and its balance at the end; of one that gives files, what they say."""
    channel = bank(code)
    if channel.at_once > 1:
        return _by_file(code, day)
    try:
        closing = channel.closing_fen(day) if isinstance(channel, TellsBalance) else None
        return Told(code, channel.day(day), closing)
    except BankError as error:
        return silent(code, day, error)


def silent(code: str, day: date, error: BankError) -> Told:
    """Nothing of a bank that does not answer."""
    log.warning("bank_silent_about_a_day", bank=code, day=str(day), outcome=error.outcome, code=error.code)
    return Told(code, None, None, is_silent=True)


def _by_file(code: str, day: date) -> Told:
    """What the statements that came as files say of a day: its own, or one that begins where the last one before it
    ended, so that nothing has moved between them."""
    told = StatementBalance.objects.filter(bank=code)
    own = list(told.filter(day=day).order_by("pk"))
    if own:
        # Several of a day follow upon each other, in whatever order they were read; one that comes again replaces them.
        moves = [(one.closing_fen - one.opening_fen, one.closing_fen) for one in own if one.opening_fen is not None]
        last = closing_fen(moves) if len(moves) == len(own) else None
        return Told(code, None, own[-1].closing_fen if last is None else last)
    if told.filter(first_day__lte=day, day__gt=day).exists():
        return Told(code, None, None)
    before = told.filter(day__lt=day).order_by("day", "pk").last()
    after = told.filter(first_day__gt=day).order_by("-first_day", "pk").last()
    if after is not None and after.opening_fen is not None:
        joins = before is not None and before.closing_fen == after.opening_fen
        if joins or after.first_day == day + timedelta(days=1):
            return Told(code, None, after.opening_fen)
    return Told(code, None, None, is_silent=True)


def late(told: Told) -> list[Movement]:
    """Rows of the day that the bank has and we have never seen."""
    theirs = {row.serial: row for row in told.movements or ()}
    known = StatementRow.objects.filter(bank=told.code, serial__in=theirs).values_list("serial", flat=True)
    return [theirs[serial] for serial in theirs.keys() - set(known)]


def book_late(told: Told) -> list[Found]:
    """Books the rows that the bank has put in afterwards, and says which."""
    rows = [row for row in late(told) if statements.book(told.code, row)]
    return found_late(told.code, rows)


def found_late(code: str, rows: Iterable[Movement]) -> list[Found]:
    """Late rows as differences."""
    return [Found(Kind.ROW_LATE, f"{code}:{row.serial}", None, row.fen, row.booked_at) for row in rows]


def compare(look: Look, told: Told, day: date, *, unbooked_fen: int = 0) -> None:
    """Adds what the bank says of a day and what we have, row by row, and where they differ. `unbooked_fen` are late
    rows that are not booked yet."""
    begin, end = bounds(day)
    ours = _ours(told.code).filter(booked_at__gte=begin, booked_at__lt=end)
    rows = {serial: (kind, fen, out_no or "", at) for serial, kind, fen, out_no, at in ours.iterator()}
    found = _rows_that_differ(told, rows)
    paid = _paid(begin, end).filter(bank=told.code).aggregate(fen=Sum("fen", default=0))["fen"]
    kinds = {serial: row[0] for serial, row in rows.items()} | _clarified(told.code, rows)
    for kind, name in NAMES.items():
        booked = sum(row[1] for serial, row in rows.items() if kinds[serial] == kind)
        look.add(name, "ledger", -paid if kind == StatementRow.Kind.PAYOUT else booked)
    for name, fen in _bank_sums(told, kinds).items():
        look.add(name, "bank", fen)
    found += _unexplained(told.code, rows) + _missing_debits(told.code, day)
    found += _balance(look, told, day, found, unbooked_fen)
    if told.is_silent and (paid or rows or look.sums["closing"]["ledger"]):
        patient = working_days_before(timezone.localdate(), settings.SETTLEMENT_DAYS) <= day
        found.append(Found(Kind.NO_STATEMENT, f"{told.code}:{day}", None, None, end, not patient))
    look.found += found
    look.rows += len(rows)


def owed_back() -> list[Found]:
    """What was debited with whole files, could not be paid, and was not given back."""
    latest = timezone.now() - whole_files.GIVEN_BACK_WITHIN
    return [
        Found(Kind.FILE_OWED, one.number, -one.kept_fen, one.rows_fen, one.since, one.since < latest)
        for code in by_file()
        for one in whole_files.standings(code)
        if one.owed_back_fen and one.since is not None
    ]


def _ours(code: str) -> QuerySet[StatementRow, Any]:
    rows = StatementRow.objects.filter(bank=code).order_by()
    return rows.values_list("serial", "kind", "fen", "payout__out_no", "booked_at")


def _clarified(code: str, serials: Iterable[str]) -> dict[str, StatementRow.Kind]:
    """What rows in suspense are by the word of two people."""
    said = Clarification.objects.filter(state=Clarification.State.AGREED, row__bank=code, row__serial__in=serials)
    of, kinds = Clarification.Kind, StatementRow.Kind
    are: dict[str, StatementRow.Kind] = {of.DEBIT: kinds.PAYOUT, of.RETURN: kinds.RETURN, of.SPONSOR: kinds.SPONSOR}
    are[of.FILE] = kinds.FILE
    return {serial: are[kind] for serial, kind in said.values_list("row__serial", "kind")}


def _rows_that_differ(told: Told, rows: dict[str, tuple[Any, ...]]) -> list[Found]:
    """Rows that the bank has otherwise, or not any more, or on another day than before."""
    if told.movements is None:
        return []
    theirs = {row.serial: row for row in told.movements}
    found = []
    for serial, (kind, fen, out_no, at) in rows.items():
        row, reference = theirs.get(serial), f"{told.code}:{serial}"
        if row is None:
            found.append(Found(Kind.ROW_GONE, reference, fen, None, at, True))
        elif row.fen != fen or (kind in (StatementRow.Kind.PAYOUT, StatementRow.Kind.RETURN) and row.out_no != out_no):
            found.append(Found(Kind.ROW_CHANGED, reference, fen, row.fen, at, True))
    moved = _ours(told.code).filter(serial__in=theirs.keys() - rows.keys()).values_list("serial", flat=True)
    for serial in moved:
        row = theirs[serial]
        found.append(Found(Kind.ROW_CHANGED, f"{told.code}:{serial}", None, row.fen, row.booked_at, True))
    return found


def _bank_sums(told: Told, kinds: dict[str, Any]) -> dict[str, int | None]:
    """Fen that the bank itself tells of, by what our rows of the same serial are."""
    sums: dict[str, int | None] = dict.fromkeys(NAMES.values(), None if told.movements is None else 0)
    for row in told.movements or ():
        name = _THEIRS.get(kinds[row.serial], "") if row.serial in kinds else "unknown"
        if name:
            sums[name] = (sums[name] or 0) + row.fen
    return sums


def _unexplained(code: str, rows: dict[str, tuple[Any, ...]]) -> list[Found]:
    """Rows in suspense that nobody has explained."""
    stuck = {f"explained:{code}:{serial}": serial for serial, row in rows.items() if row[0] == "suspense"}
    explained = ledger.known_references(stuck)
    return [
        Found(Kind.ROW_UNEXPLAINED, f"{code}:{serial}", None, rows[serial][1], rows[serial][3], True)
        for reference, serial in stuck.items()
        if reference not in explained
    ]


def _paid(begin: Any, end: Any) -> QuerySet[Payout]:
    """Payouts that the bank says arrived in a time."""
    done = [Payout.State.SUCCEEDED, Payout.State.RETURNED]
    return Payout.objects.filter(state__in=done, completed_at__gte=begin, completed_at__lt=end).order_by()


def _missing_debits(code: str, day: date) -> list[Found]:
    begin, end = bounds(day)
    rows = statements.without_debit().filter(bank=code, completed_at__gte=begin, completed_at__lt=end)
    latest = timezone.now() - statements.DEBIT_COMES_WITHIN
    return [
        Found(Kind.DEBIT_MISSING, out_no, -fen, None, done, done < latest)
        for out_no, fen, done in rows.values_list("out_no", "fen", "completed_at")
        if done is not None
    ]


def _balance(look: Look, told: Told, day: date, found: list[Found], unbooked_fen: int) -> list[Found]:
    """The balance at the end of the day, less what is known to differ: debits that are to come, files that the bank has
    debited, rows that it has otherwise, and what was found before."""
    end = bounds(day)[1]
    booked = StatementRow.objects.filter(bank=told.code).exclude(pk__in=whole_files.rows().values("pk"))
    after = booked.filter(booked_at__gte=end).aggregate(fen=Sum("fen", default=0))["fen"]
    files = whole_files.rows().filter(bank=told.code, booked_at__lt=end).aggregate(fen=Sum("fen", default=0))["fen"]
    missing = (
        statements.without_row()
        .filter(bank=told.code)
        .aggregate(
            before=Sum("fen", filter=Q(completed_at__lt=end), default=0),
            after=Sum("fen", filter=Q(completed_at__gte=end), default=0),
        )
    )
    escrow = ledger.balance(ledger.account(Account.Kind.ESCROW, told.code))
    ours = escrow - after + missing["after"]
    look.add("closing", "ledger", ours)
    look.add("closing", "bank", told.closing_fen)
    if told.closing_fen is None:
        return []
    rows = sum(one.delta_fen for one in found if one.kind in (Kind.ROW_GONE, Kind.ROW_CHANGED))
    expected = ours + missing["before"] + files + rows + unbooked_fen + _found_before(told.code, day)
    if told.closing_fen == expected:
        return []
    return [Found(Kind.BALANCE, f"{told.code}:{day}", expected, told.closing_fen, end, True)]


def _found_before(code: str, day: date) -> int:
    """By how much the bank is known to have more since earlier days."""
    earlier = Discrepancy.objects.filter(
        kind__in=ONLY_THE_BANK, reference__startswith=f"{code}:", reconciliation__day__lt=day
    )
    rows = earlier.exclude(state=Discrepancy.State.RESOLVED).values_list("theirs_fen", "ours_fen")
    return sum((theirs or 0) - (ours or 0) for theirs, ours in rows)
