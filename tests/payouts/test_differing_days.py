"""Each way in which the three sides can differ: it is found, told of, stops what it must, and ends as it should."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.days import bounds
from payouts import alerts, reconciliation, sending, statements
from payouts.models import Discrepancy, Payout, Reconciliation, StatementRow
from payouts.runs import run_payouts
from purchases import tasks as market
from purchases.models import Bill, Difference
from tests import factories
from tests.payouts import money
from tests.payouts.days import Day, differences, full_day
from tests.purchases import banking, books
from tests.standins.clients import BankClient, WechatClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def day(bank: BankClient, gateway: WechatClient, standin_dir: Path, later: Any) -> Day:
    return Day(bank, gateway, standin_dir, later)


def stopped(day: Day) -> bool:
    """Whether the day's alert is open and keeps a run from starting."""
    owed = money.households(1)[0]
    money.owe({owed: 300})
    open_ones = alerts.stopping().filter(kind="reconciliation", about=str(day.day)).count()
    ran = run_payouts().payouts
    assert (ran == 0) == (open_ones == 1)
    return ran == 0


def answer(day: Day, text: str = "asked the bank") -> None:
    """Finance answers everything on the day's page."""
    client = banking.client_of(factories.user(roles.FINANCE))
    page = client.get(f"/finance/reconciliation/{day.day}/").content.decode()
    for one in Discrepancy.objects.filter(state="open", unexplained=True):
        path = f"/finance/reconciliation/answer/{one.pk}"
        assert path in page
        assert client.post(path, {"answer": text}).status_code == 302
        assert client.post(path, {"answer": text}).status_code == 409


def rows(kind: str = "sponsor") -> StatementRow:
    return StatementRow.objects.filter(kind=kind).latest("pk")


def test_a_row_that_the_bank_changed_stops_runs_until_somebody_answers(day: Day) -> None:
    full_day(day)
    row = rows()
    day.sql("bank", "UPDATE movements SET fen = fen + 5 WHERE serial = ?", int(row.serial))
    day.end()
    made = day.reconcile()
    assert differences() == {("row_changed", f"standin:{row.serial}", 10_000, 10_005)}
    assert made.state == "unexplained"
    assert stopped(day)
    answer(day)
    made.refresh_from_db()
    assert (made.state, differences()) == ("matched", set())
    assert not stopped(day)
    assert day.reconcile().state == "matched"  # What was answered stays so,
    day.sql("bank", "UPDATE movements SET fen = fen + 1 WHERE serial = ?", int(row.serial))
    assert day.reconcile().state == "unexplained"  # unless it changes again.
    assert differences() == {("row_changed", f"standin:{row.serial}", 10_000, 10_006)}


def test_a_row_that_the_bank_gave_to_another_payout_is_changed(day: Day) -> None:
    _payments, (first, second) = full_day(day)
    day.sql("bank", "UPDATE movements SET out_no = ? WHERE out_no = ?", second.out_no, first.out_no)
    day.end()
    day.reconcile()
    assert {kind for kind, *_rest in differences()} == {"row_changed"}


def test_a_row_that_is_gone_stops_runs_and_heals_when_it_is_back(day: Day) -> None:
    full_day(day)
    row = rows()
    (kept,) = day.sql("bank", "SELECT * FROM movements WHERE serial = ?", int(row.serial))
    day.sql("bank", "DELETE FROM movements WHERE serial = ?", int(row.serial))
    day.end()
    made = day.reconcile()
    assert differences() == {("row_gone", f"standin:{row.serial}", 10_000, None)}
    assert stopped(day)
    day.sql("bank", f"INSERT INTO movements VALUES ({', '.join('?' * len(kept))})", *kept)
    made = day.reconcile()
    assert (made.state, differences()) == ("matched", set())
    assert not stopped(day)
    assert [change.to_state for change in made.history()] == ["unexplained", "matched"]
    assert Discrepancy.objects.get().state == "resolved"


def test_a_row_that_moved_to_another_day_is_gone_from_one_and_new_on_the_other(day: Day) -> None:
    full_day(day)
    row = rows()
    start = bounds(day.day)[0] - timedelta(hours=3)
    day.sql("bank", "UPDATE movements SET booked_at = ? WHERE serial = ?", start.timestamp(), int(row.serial))
    day.end()
    before = day.day - timedelta(days=1)
    reconciliation.reconcile(before)
    assert differences(before) == {("row_changed", f"standin:{row.serial}", None, 10_000)}
    day.reconcile()
    assert differences(day.day) == {("row_gone", f"standin:{row.serial}", 10_000, None)}


def test_a_lower_serial_that_the_bank_books_later_is_booked_and_noted(day: Day) -> None:
    serial = day.leave_serials()
    full_day(day)
    day.book_later(serial, 77)
    statements.import_statement()
    assert not StatementRow.objects.filter(serial=str(serial)).exists()
    day.end()
    look = reconciliation.look_at(day.day)
    assert [(one.kind, one.reference) for one in look.found] == [("row_late", f"standin:{serial}")]
    for _turn in range(2):
        made = day.reconcile()
        assert (made.state, differences()) == ("matched", set())
        assert StatementRow.objects.get(serial=str(serial)).fen == 77
        assert made.sums["sponsor"] == {"ledger": 10_077, "bank": 10_077}
    assert differences(state="resolved") == {("row_late", f"standin:{serial}", None, 77)}
    assert not alerts.open_alerts().exists()
    books.all_is_well()


def test_money_of_a_stranger_goes_to_suspense_until_the_page_explains_it(day: Day) -> None:
    full_day(day)
    serial = day.credit(7, "路人甲")
    day.end()
    made = day.reconcile()
    assert differences() == {("row_unexplained", f"standin:{serial}", None, 7)}
    assert set(alerts.stopping().values_list("kind", flat=True)) == {"statement_unexplained", "reconciliation"}
    assert books.balances()["suspense"] == -7
    assert stopped(day)
    answer(day, "a gift to the fund")
    made.refresh_from_db()
    assert made.state == "matched"
    assert "suspense" not in books.balances()
    assert not alerts.open_alerts().exists()
    assert not stopped(day)
    assert day.reconcile().state == "matched"
    books.all_is_well()


def test_a_debit_that_is_missing_is_known_for_a_day_and_unexplained_then(day: Day) -> None:
    factories.account(factories.market(3)[0])
    day.sell(1)
    day.credit(1_000)
    day.settle()
    run_payouts()
    payout = Payout.objects.get()
    sending.send_payout(payout.pk)
    columns = day.sql("bank", "SELECT * FROM movements WHERE out_no = ?", payout.out_no)
    day.sql("bank", "DELETE FROM movements WHERE out_no = ?", payout.out_no)
    day.end(hour=0.001)
    made = day.reconcile()
    assert differences() == {("debit_missing", payout.out_no, -300, None)}
    assert made.state == "differs"
    assert made.sums["closing"] == {"ledger": 998, "bank": 1_298}
    assert not stopped(day)
    day.later(days=1)
    assert day.reconcile().state == "unexplained"
    assert stopped(day)
    for one in columns:
        day.sql("bank", f"INSERT INTO movements VALUES ({', '.join('?' * len(one))})", *one)
    assert day.reconcile().state == "matched"
    assert not stopped(day)


def test_a_balance_that_its_rows_do_not_make_is_unexplained_until_they_do(day: Day) -> None:
    """A row of an earlier day that we have never read: no row of this day differs, but the balance does."""
    serial = day.leave_serials()
    full_day(day)
    day.book_later(serial, 77, at=bounds(day.day)[0] - timedelta(hours=1))
    statements.import_statement()
    day.end()
    day.reconcile()
    assert differences() == {("balance", f"standin:{day.day}", 9_994, 10_071)}
    assert stopped(day)
    reconciliation.reconcile(day.day - timedelta(days=1))  # Which finds and books the row.
    assert day.reconcile().state == "matched"
    assert not stopped(day)


def test_an_answered_balance_is_carried_on_and_not_asked_again(day: Day) -> None:
    full_day(day)
    day.sql("bank", "UPDATE movements SET fen = fen + 5 WHERE serial = ?", int(rows().serial))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE payouts_statementrow SET fen = fen + 5 WHERE kind = 'sponsor'")
        cursor.execute("SET session_replication_role = DEFAULT")
    day.end()
    day.reconcile()
    found = {kind: (ours, theirs) for kind, _reference, ours, theirs in differences()}
    assert set(found) == {"balance"}
    assert found["balance"][1] - found["balance"][0] == 5
    day.next_day()
    following = day.day + timedelta(days=1)
    reconciliation.reconcile(following)
    assert differences(following) == set()
    answer(day)
    made = reconciliation.reconcile(following)
    assert made is not None
    assert made.state == "matched"
    assert not alerts.open_alerts().exists()


def test_a_bill_that_does_not_come_is_known_for_some_days_and_unexplained_then(day: Day) -> None:
    full_day(day)
    day.end()
    Difference.objects.all().delete()
    Bill.objects.all().delete()
    made = day.reconcile()
    assert (made.state, differences()) == ("differs", {("bill_missing", f"wechatpay:{day.day}", 900, None)})
    day.later(days=6)
    assert day.reconcile().state == "unexplained"
    assert stopped(day)
    market.compare_bills()
    assert day.reconcile().state == "matched"
    assert not stopped(day)


def test_a_line_that_differs_from_the_bill_stops_runs_until_it_is_answered_among_the_bills(day: Day) -> None:
    payments, _payouts = full_day(day)
    day.sql("wechatpay", "UPDATE transactions SET fen = fen + 1 WHERE transaction_id = ?", payments[0].transaction_id)
    day.end()
    made = day.reconcile()
    assert (made.state, differences()) == ("unexplained", set())  # It is the bills' own, and not told twice.
    assert made.sums["captured"] == {"ledger": 900, "gateway": 901}
    assert stopped(day)
    client = banking.client_of(factories.user(roles.FINANCE))
    assert "Answer it among the daily bills" in client.get(f"/finance/reconciliation/{day.day}/").content.decode()
    difference = Difference.objects.get()
    client.post(f"/finance/differences/{difference.pk}/answer", {"answer": "their mistake"})
    made.refresh_from_db()
    assert made.state == "matched"
    assert not stopped(day)
    assert day.reconcile().state == "matched"


def test_a_bill_whose_sum_no_line_explains_is_unexplained(day: Day) -> None:
    full_day(day)
    day.end()
    Bill.objects.filter(day=day.day).update(captured_fen=901)
    assert day.reconcile().state == "unexplained"
    assert differences() == {("bill_sum", f"wechatpay:captured:{day.day}", 900, 901)}
    answer(day)
    assert day.reconcile().state == "matched"


def test_a_ledger_that_was_changed_behind_its_back_is_found(day: Day) -> None:
    payments, _payouts = full_day(day)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE ledger_line SET fen = fen + 1 FROM ledger_entry e, ledger_account a WHERE e.id = entry_id"
            " AND a.id = account_id AND a.kind = 'gateway' AND e.reference = 'capture:' || %s",
            [payments[1].reference],
        )
        cursor.execute("SET session_replication_role = DEFAULT")
    day.end()
    day.reconcile()
    assert ("bill_sum", f"wechatpay:captured:{day.day}", 901, 900) in differences()


@pytest.mark.parametrize("following", [False, True])
def test_a_capture_just_before_midnight_may_stand_on_the_next_bill(day: Day, following: bool) -> None:
    payments, _payouts = full_day(day)
    end = bounds(day.day)[1]
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE purchases_payment SET captured_at = %s WHERE id = %s", [end - timedelta(seconds=1), payments[1].pk]
        )
        cursor.execute("SET session_replication_role = DEFAULT")
    paid_at = (end + timedelta(seconds=1)).timestamp()
    day.sql(
        "wechatpay", "UPDATE transactions SET paid_at = ? WHERE transaction_id = ?", paid_at, payments[1].transaction_id
    )
    day.end()
    day.later(days=following)
    market.compare_bills()
    made = day.reconcile()
    assert made.sums["captured"] == {"ledger": 900, "gateway": 600}
    expected = set() if following else {("other_day", f"wechatpay:captured:{day.day}", 900, 600)}
    assert differences(day.day) == expected
    assert made.state == ("matched" if following else "differs")
    assert not alerts.stopping().exists()


@pytest.mark.parametrize(("seconds", "belongs"), [(-1, False), (0, True), (86_399, True), (86_400, False)])
def test_a_row_belongs_to_the_day_in_which_the_bank_booked_it(day: Day, seconds: int, belongs: bool) -> None:
    day.credit(1_000)
    at = bounds(day.day)[0] + timedelta(seconds=seconds)
    day.sql("bank", "UPDATE movements SET booked_at = ?", at.timestamp())
    statements.import_statement()
    assert timezone.localdate(StatementRow.objects.get().booked_at) == day.day - timedelta(
        days=seconds < 0
    ) + timedelta(days=seconds >= 86_400)
    day.end()
    made = day.reconcile()
    assert made.sums["sponsor"]["ledger"] == 1_000 * belongs
    assert made.sums["closing"] == dict.fromkeys(("ledger", "bank"), 1_000 * (seconds < 86_400))
    assert (made.state, differences()) == ("matched", set())


def test_nobody_but_finance_sees_or_answers(day: Day) -> None:
    full_day(day)
    day.credit(7, "路人甲")
    day.end()
    day.reconcile()
    one = Discrepancy.objects.get()
    path, page = f"/finance/reconciliation/answer/{one.pk}", f"/finance/reconciliation/{day.day}/"
    for role in (roles.OFFICER, roles.REVIEWER, roles.ADMINISTRATOR, roles.BUYER):
        client = banking.client_of(factories.user(role))
        assert client.post(path, {"answer": "x"}).status_code == 404
        assert client.get(page).status_code == 404
    one.refresh_from_db()
    assert one.state == "open"
    client = banking.client_of(factories.user(roles.FINANCE))
    assert client.post(path, {"answer": "  \0 "}).status_code == 400
    assert client.get(page).status_code == 200
    assert str(day.day) in client.get("/finance/reconciliation/").content.decode()
    for nonsense in ("2026-13-01", "x", "1999-01-01"):
        assert client.get(f"/finance/reconciliation/{nonsense}/").status_code == 404
    assert client.get("/finance/reconciliation/?page=99").status_code == 200


def test_what_is_only_on_its_way_cannot_be_answered_away(day: Day) -> None:
    factories.market(2)
    day.sell(1)
    day.end()
    day.reconcile()
    one = Discrepancy.objects.get(kind="settlement")
    client = banking.client_of(factories.user(roles.FINANCE))
    assert "/answer/" not in client.get(f"/finance/reconciliation/{day.day}/").content.decode()
    assert client.post(f"/finance/reconciliation/answer/{one.pk}", {"answer": "x"}).status_code == 409
    assert Reconciliation.objects.get().state == "differs"
