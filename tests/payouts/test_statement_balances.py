"""A bank that gives files: what its statements say was on the account is held against the books, each day."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from carbonsink.money import yuan
from payouts import alerts, reconciliation, statements
from payouts.banks import file_bank
from payouts.models import StatementBalance
from tests.payouts.days import differences
from tests.payouts.filing import ACCOUNT, pay_by_files
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)

BASE = timedelta(days=10)


@pytest.fixture(autouse=True)
def by_files(tmp_path: Path, settings: Any) -> None:
    pay_by_files("pain001", tmp_path, settings)
    settings.PAYMENT_GATEWAYS = ["transfer"]


def day(ahead: int) -> date:
    """A day of the week before last."""
    return timezone.localdate() - BASE + timedelta(days=ahead)


def statement(
    on: date, opening: int | None, *rows: tuple[str, int], closing: int | None = None, **more: Any
) -> statements.Outcome:
    """Reads a camt.053 (or, without a closing balance, a camt.054) of a day: serial and fen of each row."""
    is_statement = opening is not None or closing is not None
    kind, root, node = ("053", "Stmt", "Stmt") if is_statement else ("054", "DbtCdtNtfctn", "Ntfctn")
    entries = "".join(
        f'<Ntry><Amt Ccy="CNY">{yuan(abs(fen))}</Amt><CdtDbtInd>{"CRDT" if fen > 0 else "DBIT"}</CdtDbtInd>'
        f"<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{on}</Dt></BookgDt><AcctSvcrRef>{serial}</AcctSvcrRef>"
        f"<NtryDtls><TxDtls><RltdPties><Dbtr><Pty><Nm>{settings.SPONSOR_NAMES[0]}</Nm></Pty></Dbtr></RltdPties></TxDtls>"
        f"</NtryDtls></Ntry>"
        for serial, fen in rows
    )
    closing = (opening or 0) + sum(fen for _serial, fen in rows) if is_statement and closing is None else closing
    given = [(more.get("carried", "OPBD"), opening, more.get("first", on)), ("CLBD", closing, more.get("last", on))]
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{name}</Cd></CdOrPrtry></Tp><Amt Ccy="CNY">{yuan(fen)}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<Dt><Dt>{at}</Dt></Dt></Bal>"
        for name, fen, at in given
        if fen is not None
    )
    content = (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{kind}.001.08"><BkToCstmr{root}><GrpHdr/><{node}>'
        f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id></Acct>{balances}{entries}</{node}></BkToCstmr{root}></Document>"
    ).encode()
    return statements.take_in("pain001", file_bank("pain001").read("x.xml", content))


def found(ahead: int) -> set[tuple[str, int | None, int | None]]:
    """What a comparison finds of a day: kind, our fen, theirs."""
    reconciliation.reconcile(day(ahead))
    return {(kind, ours, theirs) for kind, _reference, ours, theirs in differences(day(ahead))}


def closing(ahead: int) -> dict[str, int | None]:
    return reconciliation.look_at(day(ahead)).sums["closing"]


def test_a_statements_own_balance_is_held_against_the_books() -> None:
    statement(day(0), 0, ("A1", 1_000))
    assert found(0) == set()
    assert closing(0) == {"ledger": 1_000, "bank": 1_000}
    # Two of a day, read in whatever order, follow upon each other.
    statement(day(1), 1_300, ("A3", 20))
    statement(day(1), 1_000, ("A2", 300))
    assert found(1) == set()
    assert closing(1) == {"ledger": 1_320, "bank": 1_320}
    books.all_is_well()


def test_money_that_left_on_a_day_without_a_statement_is_found() -> None:
    statement(day(0), 0, ("A1", 1_000))
    statement(day(2), 400, ("A2", 5))
    assert found(0) == set()
    assert found(1) == {("balance", 1_000, 400)}
    assert alerts.stopping().filter(kind="reconciliation", about=str(day(1))).exists()
    assert found(2) == set()  # Told of once, with the day on which it went.
    # The missing statement comes, and explains it.
    statement(day(1), 1_000, ("A0", -600))
    assert ("balance", 1_000, 400) not in found(1)
    assert {kind for kind, _ours, _theirs in found(1)} == {"row_unexplained"}


def test_a_bank_that_makes_no_statement_of_a_quiet_day_is_believed_by_the_next_one() -> None:
    statement(day(0), 0, ("A1", 1_000))
    statement(day(4), 1_000, ("A2", 5))
    assert [found(ahead) for ahead in range(5)] == [set()] * 5
    assert closing(2) == {"ledger": 1_000, "bank": 1_000}


def test_a_week_of_one_statement_is_held_against_the_books_at_its_end() -> None:
    statement(day(0), 0, ("A1", 1_000))
    statement(day(5), 1_000, ("A2", 5), first=day(1))
    assert [found(ahead) for ahead in range(6)] == [set()] * 6
    assert closing(3) == {"ledger": 1_000, "bank": None}
    # One that carries the balance of the day before over begins on the day after that.
    statement(day(6), 1_005, ("A3", 5), first=day(5), carried="PRCD")
    assert StatementBalance.objects.get(day=day(6)).first_day == day(6)
    assert found(6) == set()


def test_a_day_without_a_statement_waits_and_then_stops_runs(later: Any) -> None:
    statement(day(0), 0, ("A1", 1_000))
    yesterday = timezone.localdate() - timedelta(days=1)
    last = (yesterday - day(0)).days
    assert found(last) == {("no_statement", None, None)}
    assert not alerts.stopping().exists()
    later(days=6)
    reconciliation.reconcile(yesterday)
    assert {kind for kind, *_rest in differences(yesterday)} == {"no_statement"}
    assert alerts.stopping().filter(kind="reconciliation", about=str(yesterday)).exists()
    with pytest.raises(Exception, match=str(yesterday)):
        call_command("reconcile", f"--date={yesterday}")
    statement(yesterday, 1_000, closing=1_000)
    reconciliation.reconcile(yesterday)
    assert differences(yesterday) == set()
    assert not alerts.stopping().exists()


def test_an_account_on_which_nothing_ever_was_needs_no_statement() -> None:
    assert found(0) == set()


def test_a_difference_stays_while_the_statement_that_could_end_it_has_not_come() -> None:
    statement(day(0), 0, ("A1", 1_000))
    statement(day(1), 1_000, closing=1_000)
    with connection.cursor() as cursor:  # Somebody takes a row away behind the platform's back.
        cursor.execute("ALTER TABLE payouts_statementbalance DISABLE TRIGGER USER")
        cursor.execute("UPDATE payouts_statementbalance SET closing_fen = 990 WHERE day = %s", [day(1)])
    assert found(1) == {("balance", 1_000, 990)}
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM payouts_statementbalance WHERE day = %s", [day(1)])
        cursor.execute("ALTER TABLE payouts_statementbalance ENABLE TRIGGER USER")
    assert ("balance", 1_000, 990) in found(1)


def test_a_row_that_comes_again_with_another_amount_is_told_of_and_not_booked() -> None:
    statement(day(0), None, ("A1", 100))
    assert statement(day(0), None, ("A1", 100), ("A2", 1)).booked == 1
    assert not alerts.open_alerts().exists()
    assert statement(day(0), 0, ("A1", 1_000), ("A2", 1)).booked == 0
    (alert,) = alerts.stopping()
    assert (alert.kind, alert.about) == ("statement_changed", "pain001:A1")
    assert "1.00" in alert.text
    assert "10.00" in alert.text
    assert books.balances()["escrow"] == 101
    # The balance says so too.
    assert found(0) == {("balance", 101, 1_001)}


def test_what_a_statement_said_never_changes() -> None:
    statement(day(0), 0, ("A1", 1_000))
    for change in ({"closing_fen": 5}, {"day": day(1)}):
        with pytest.raises(IntegrityError), transaction.atomic():
            StatementBalance.objects.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        StatementBalance.objects.all().delete()
    assert StatementBalance.objects.get().closing_fen == 1_000


@pytest.mark.parametrize("written", ["", "2026-13-01", "yesterday"])
def test_a_balance_of_no_day_is_left_out(written: str) -> None:
    statement(day(0), 0, ("A1", 1_000), first=written)
    known = StatementBalance.objects.get()
    assert (known.first_day, known.day, known.opening_fen, known.closing_fen) == (day(0), day(0), None, 1_000)
    statement(day(1), 1_000, ("A2", 1_000), last=written)
    assert StatementBalance.objects.count() == 1
