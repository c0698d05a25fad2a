"""The ledger's verbs. An entry is written whole, in one INSERT, or not at all."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, models
from django.db.models import Sum
from django.utils import timezone

from carbonsink.ledger.models import Account, Entry, Line, Settlement


class AlreadyPosted(Exception):
    """An entry with this reference is already in the books."""


def account(kind: Account.Kind, name: str = "") -> Account:
    """The account `kind` or `kind:name`, made when it is first needed."""
    code = f"{kind.value}:{name}" if name else kind.value
    return Account.objects.get_or_create(code=code, defaults={"kind": kind.value})[0]


def household_code(household_id: int) -> str:
    """The code of a household's payable account."""
    return f"{Account.Kind.HOUSEHOLD.value}:{household_id}"


def open_household_account(household_id: int) -> Account:
    """Opens the payable account of a household, when the household is registered."""
    return Account.objects.create(code=household_code(household_id), kind=Account.Kind.HOUSEHOLD, owner=household_id)


def open_household_accounts(household_ids: Iterable[int]) -> None:
    """Opens the payable accounts of many households."""
    Account.objects.bulk_create(
        (Account(code=household_code(pk), kind=Account.Kind.HOUSEHOLD, owner=pk) for pk in household_ids),
        batch_size=2_000,
    )


def post(reference: str, kind: str, amounts: Mapping[Account, int]) -> Entry:
    """Writes one entry: `amounts` are fen by account and must sum to 0; zero amounts are left out.

    Raises AlreadyPosted when the reference is in the books (the transaction stays usable), ValueError for an entry
    that does not balance.
    """
    lines = [(account.pk, fen) for account, fen in amounts.items() if fen]
    if len(lines) < 2 or sum(fen for _, fen in lines) != 0:
        raise ValueError(f"entry {reference} does not balance: {lines}")
    return _write(reference, kind, lines, "", [])


def post_with(reference: str, kind: str, amounts: Mapping[Account, int], query: str, params: list[Any]) -> Entry:
    """Writes one entry of `amounts` and of what a query gives: rows of account id and fen, so that thousands of lines
    need not pass through here.

    Raises AlreadyPosted like `post`; the database refuses an entry that does not balance (IntegrityError).
    """
    return _write(
        reference, kind, [(account.pk, fen) for account, fen in amounts.items()], f"UNION ALL {query}", params
    )


def _write(reference: str, kind: str, lines: list[tuple[int, int]], more: str, params: list[Any]) -> Entry:
    """Entry and lines by one statement; a reference that is used already writes nothing."""
    at = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH entry AS (
                    INSERT INTO ledger_entry (reference, kind, at) VALUES (%s, %s, %s)
                    ON CONFLICT (reference) DO NOTHING RETURNING id
                ), lines AS (
                    INSERT INTO ledger_line (entry_id, account_id, fen)
                    SELECT entry.id, t.account_id, t.fen FROM entry, (
                           SELECT * FROM unnest(%s::bigint[], %s::bigint[]) {more}) t(account_id, fen)
                )
                SELECT id FROM entry""",  # noqa: S608 - the query is ours
            [reference, kind, at, [pk for pk, _ in lines], [fen for _, fen in lines], *params],
        )
        row = cursor.fetchone()
    if row is None:
        raise AlreadyPosted(reference)
    return Entry(pk=row[0], reference=reference, kind=kind, at=at)


def balance(*accounts: Account) -> int:
    """The sum of all lines of the accounts, in fen."""
    return Line.objects.filter(account__in=accounts).aggregate(fen=Sum("fen", default=0))["fen"]


def balance_of_entry(reference: str, kind: Account.Kind) -> int:
    """What one entry booked on accounts of a kind, in fen; 0 when there is no such entry."""
    lines = Line.objects.filter(entry__reference=reference, account__kind=kind)
    return lines.aggregate(fen=Sum("fen", default=0))["fen"]


def known_references(references: Iterable[str]) -> set[str]:
    """Those of the references that have an entry in the books."""
    return set(Entry.objects.filter(reference__in=list(references)).values_list("reference", flat=True))


def unsettled(lines: models.QuerySet[Line]) -> models.QuerySet[Line]:
    """Those of the lines that no payout has taken."""
    return lines.filter(settlement__isnull=True)


def settle(line_ids: list[int], payout_reference: str) -> None:
    """Has a payout take the lines. The database refuses a line that is taken already (IntegrityError)."""
    Settlement.objects.bulk_create(Settlement(line_id=pk, payout_reference=payout_reference) for pk in line_ids)
