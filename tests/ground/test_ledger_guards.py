"""The database's own guards of the ledger, met by plain SQL as somebody at a console would."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.ledger.models import Account, Entry, Line, Settlement
from carbonsink.ledger.services import account, post, settle
from tests import factories

LINES = "INSERT INTO ledger_line (entry_id, account_id, fen) VALUES "


def two_accounts() -> tuple[Account, Account]:
    return account(Account.Kind.ESCROW, "x"), account(Account.Kind.SPONSOR)


def posted(reference: str = "r1", fen: int = 500) -> Entry:
    escrow, sponsor = two_accounts()
    return post(reference, "test", {escrow: fen, sponsor: -fen})


def new_entry(cursor: Any, reference: str = "r2") -> int:
    cursor.execute(
        "INSERT INTO ledger_entry (reference, kind, at) VALUES (%s, 'test', now()) RETURNING id", [reference]
    )
    return int(cursor.fetchone()[0])


def books() -> list[tuple[Any, ...]]:
    """All that stands in the ledger."""
    lines = Line.objects.order_by("pk").values_list("entry__reference", "account__code", "fen")
    return [*lines, *Settlement.objects.values_list("line", "payout_reference"), Entry.objects.count()]


def refused(match: str, act: Callable[[Any], Any]) -> None:
    """The database refuses what `act` does with a cursor, and the books are as before."""
    before = books()
    with (
        pytest.raises((IntegrityError, psycopg.IntegrityError), match=match),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        act(cursor)
    assert books() == before


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["ledger_account", "ledger_entry", "ledger_line", "ledger_settlement"])
@pytest.mark.parametrize("verb", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_nothing_is_updated_deleted_or_truncated(table: str, verb: str) -> None:
    entry = posted()
    settle([entry.lines.order_by("pk")[1].pk], "payout1")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # Else pending checks alone would stop a TRUNCATE.
    refused(f"append-only: {verb.split()[0]}", lambda cursor: cursor.execute(verb.format(table)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "amounts", [[1], [0], [5, -4], [5, 5], [3, -1, -1], [-1, -1], [2**62, 2**62]], ids=lambda amounts: str(amounts)
)
def test_lines_that_do_not_balance_are_refused(amounts: list[int]) -> None:
    escrow, sponsor = two_accounts()

    def act(cursor: Any) -> None:
        entry = new_entry(cursor)
        rows = [f"({entry}, {pk}, {fen})" for pk, fen in zip([escrow.pk, sponsor.pk] * 2, amounts, strict=False)]
        cursor.execute(LINES + ", ".join(rows))

    refused("does not balance|not_zero", act)


@pytest.mark.django_db
def test_a_line_of_zero_is_refused_even_where_the_sum_is_zero() -> None:
    escrow, sponsor = two_accounts()

    def act(cursor: Any) -> None:
        entry = new_entry(cursor)
        cursor.execute(LINES + f"({entry}, {escrow.pk}, 0), ({entry}, {sponsor.pk}, 0)")

    refused("ledger_line_not_zero", act)


@pytest.mark.django_db
def test_two_entries_that_balance_only_together_are_refused() -> None:
    escrow, sponsor = two_accounts()

    def act(cursor: Any) -> None:
        first, second = new_entry(cursor), new_entry(cursor, "r3")
        cursor.execute(
            LINES + f"({first}, {escrow.pk}, 5), ({first}, {sponsor.pk}, 5),"
            f" ({second}, {escrow.pk}, -5), ({second}, {sponsor.pk}, -5)"
        )

    refused("does not balance", act)


@pytest.mark.django_db
def test_further_balanced_lines_are_refused_in_the_same_transaction() -> None:
    escrow, sponsor = two_accounts()

    def act(cursor: Any) -> None:
        entry = new_entry(cursor)
        rows = f"({entry}, {escrow.pk}, 5), ({entry}, {sponsor.pk}, -5)"
        cursor.execute(LINES + rows)
        cursor.execute(LINES + rows)

    refused("is closed", act)


@pytest.mark.django_db
def test_further_balanced_lines_are_refused_after_constraints_were_made_immediate() -> None:
    entry, (escrow, sponsor) = posted(), two_accounts()

    def act(cursor: Any) -> None:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(LINES + f"({entry.pk}, {escrow.pk}, 5), ({entry.pk}, {sponsor.pk}, -5)")

    refused("is closed", act)


@pytest.mark.django_db
def test_further_balanced_lines_are_refused_by_copy_and_beside_a_new_entry() -> None:
    entry, (escrow, sponsor) = posted(), two_accounts()

    def copy(cursor: Any) -> None:
        with cursor.copy("COPY ledger_line (entry_id, account_id, fen) FROM STDIN") as rows:
            rows.write_row((entry.pk, escrow.pk, 5))
            rows.write_row((entry.pk, sponsor.pk, -5))

    refused("is closed", copy)

    def beside(cursor: Any) -> None:
        new = new_entry(cursor)
        cursor.execute(LINES + ", ".join(f"({pk}, {escrow.pk}, 5), ({pk}, {sponsor.pk}, -5)" for pk in (new, entry.pk)))

    refused("is closed", beside)


@pytest.mark.django_db
def test_upsert_cannot_change_a_line() -> None:
    entry, (escrow, _) = posted(), two_accounts()
    line = entry.lines.order_by("pk").first()
    assert line is not None
    refused(
        "append-only: UPDATE",
        lambda cursor: cursor.execute(
            "INSERT INTO ledger_line (id, entry_id, account_id, fen) VALUES (%s, %s, %s, 9)"
            " ON CONFLICT (id) DO UPDATE SET fen = 9",
            [line.pk, entry.pk, escrow.pk],
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_further_lines_are_refused_in_a_later_transaction_and_from_an_older_snapshot() -> None:
    escrow, sponsor = two_accounts()
    other = connection.copy()
    try:
        with other.cursor() as old:
            old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            old.execute("SELECT count(*) FROM ledger_entry")
            assert old.fetchone() == (0,)
            entry = posted()  # Committed now; the other transaction does not see it.
            with pytest.raises(IntegrityError, match="is closed"):
                old.execute(LINES + f"({entry.pk}, {escrow.pk}, 5), ({entry.pk}, {sponsor.pk}, -5)")
            old.execute("ROLLBACK")
    finally:
        other.close()
    refused("is closed", lambda c: c.execute(LINES + f"({entry.pk}, {escrow.pk}, 5), ({entry.pk}, {sponsor.pk}, -5)"))
    assert books() == [("r1", "escrow:x", 500), ("r1", "sponsor", -500), 1]


@pytest.mark.django_db(transaction=True)
def test_an_entry_without_lines_cannot_be_committed() -> None:
    refused("has no lines", new_entry)


@pytest.mark.django_db(transaction=True)
def test_lines_rolled_back_after_the_check_leave_no_empty_entry() -> None:
    escrow, sponsor = two_accounts()

    def act(cursor: Any) -> None:
        entry = new_entry(cursor)
        cursor.execute("SAVEPOINT before_lines")
        cursor.execute(LINES + f"({entry}, {escrow.pk}, 5), ({entry}, {sponsor.pk}, -5)")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ROLLBACK TO SAVEPOINT before_lines")

    refused("has no lines", act)


@pytest.mark.django_db
def test_a_line_is_settled_once() -> None:
    line = posted().lines.order_by("pk")[1]
    settle([line.pk], "payout1")
    with pytest.raises(IntegrityError), transaction.atomic():
        settle([line.pk], "payout2")
    refused(
        "unique",
        lambda cursor: cursor.execute(
            "INSERT INTO ledger_settlement (line_id, payout_reference) VALUES (%s, 'payout3')", [line.pk]
        ),
    )
    assert list(Settlement.objects.values_list("payout_reference", flat=True)) == ["payout1"]


@pytest.mark.django_db
def test_a_household_has_one_account_and_no_other_kind_has_an_owner() -> None:
    owner = factories.household()
    insert = "INSERT INTO ledger_account (code, kind, owner) VALUES (%s, %s, %s)"
    for row, match in [
        (("household:none", "household", None), "(owner|code)_of_household"),
        (("escrow:y", "escrow", owner.pk + 1), "owner_of_household"),
        (("household:7", "household", owner.pk + 1), "code_of_household"),
        (("pocket", "pocket", None), "known_kind"),
    ]:
        refused(match, lambda cursor, row=row: cursor.execute(insert, row))
    assert list(Account.objects.filter(owner=owner.pk).values_list("code", flat=True)) == [f"household:{owner.pk}"]
