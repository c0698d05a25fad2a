"""A day compared three ways, with the real stand-ins: what agrees, and what is only on its way."""

import html
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.days import bounds
from carbonsink.errors import DomainError
from carbonsink.standins import keys
from payouts import alerts, reconciliation, runs, statements, tasks, watching
from payouts.models import Discrepancy, Reconciliation
from payouts.reconciliation.found import working_days_before
from payouts.reconciliation.words import TO_DO
from purchases import checkout
from purchases import tasks as market
from purchases.models import Bill
from tests import factories
from tests.ground.threads import at_once
from tests.payouts.days import Day, differences, full_day, give_back
from tests.processes import Fork
from tests.purchases import banking, books
from tests.standins.clients import AlipayClient, BankClient, WechatClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def day(bank: BankClient, gateway: WechatClient, standin_dir: Path, later: Any) -> Day:
    return Day(bank, gateway, standin_dir, later)


@pytest.fixture
def alipay_with_bank(day: Day, standin_dir: Path, settings: Any) -> Iterator[AlipayClient]:
    """An Alipay that settles to the stand-in bank."""
    process = Fork("alipay", standin_dir, "--bank-url", day.bank.url, "--retry-scale", "0.001")
    settings.ALIPAY_GATEWAY_URL = f"{process.url}/gateway.do"
    settings.PAYMENT_GATEWAYS = ["wechatpay", "alipay"]
    client = AlipayClient(process.url, keys.settings_for(standin_dir, day.wechat.url, day.bank.url))
    yield client
    client.http.close()
    process.end()


def test_a_day_on_which_all_agrees_is_matched(day: Day) -> None:
    payouts = full_day(day)[1]
    assert [payout.state for payout in payouts] == ["succeeded", "succeeded"]
    day.end()
    for _turn in range(2):
        made = day.reconcile()
        assert (made.state, differences()) == ("matched", set())
    assert made.sums["captured"] == {"ledger": 900, "gateway": 900}
    assert made.sums["fees"] == {"ledger": 6, "gateway": 6}
    assert made.sums["settled"] == {"ledger": 894, "bank": 894}
    assert made.sums["sponsor"] == {"ledger": 10_000, "bank": 10_000}
    assert made.sums["paid_out"] == {"ledger": -900, "bank": -900}
    assert made.sums["closing"] == {"ledger": 9_994, "bank": 9_994}
    assert made.rows == 4
    assert [change.to_state for change in made.history()] == ["matched"]
    assert not alerts.open_alerts().exists()
    books.all_is_well()


def test_two_gateways_are_summed_and_compared(day: Day, alipay_with_bank: AlipayClient) -> None:
    factories.market(3)
    day.sell(1)
    payment = checkout.start_payment(factories.order(1), gateway_code="alipay", product="page")
    alipay_with_bank.open(payment.pay_url)
    alipay_with_bank.pay(payment.reference)
    checkout.ask_gateway(payment)
    day.settle()
    alipay_with_bank.control("POST", "settle", {})
    day.end()
    made = day.reconcile()
    assert made.sums["captured"] == {"ledger": 600, "gateway": 600}
    assert made.sums["settled"] == {"ledger": 596, "bank": 596}
    assert (made.state, differences()) == ("matched", set())


def test_refunds_are_sums_of_their_own(day: Day) -> None:
    full_day(day)
    factories.market(2)
    again = day.sell(2)
    refund = give_back(again)
    assert refund.state == "succeeded"
    day.settle()
    day.end()
    made = day.reconcile()
    assert made.sums["refunded"] == {"ledger": 300, "gateway": 300}
    assert made.sums["captured"] == {"ledger": 1500, "gateway": 1500}
    assert (made.state, differences()) == ("matched", set())
    books.all_is_well()


def test_a_settlement_on_its_way_is_known_with_its_age_and_carried_on(day: Day) -> None:
    factories.market(2)
    day.sell(2)
    day.end()
    made = day.reconcile()
    assert made.state == "differs"
    assert differences() == {("settlement", f"wechatpay:{day.day}", 596, None)}
    assert timezone.localdate(Discrepancy.objects.get().since) == day.day
    assert not alerts.open_alerts().exists()
    day.next_day()
    following = day.day + timedelta(days=1)
    reconciliation.reconcile(following)
    assert differences() == {("settlement", f"wechatpay:{following}", 596, None)}
    assert timezone.localdate(Discrepancy.objects.get(state="open").since) == day.day
    made.refresh_from_db()
    assert made.state == "matched"
    reconciliation.reconcile(day.day)  # An older day says nothing of what stands now.
    assert differences() == {("settlement", f"wechatpay:{following}", 596, None)}


def test_a_settlement_that_does_not_come_is_told_of_and_stops_nothing(day: Day, settings: Any) -> None:
    settings.SETTLEMENT_DAYS = 3
    factories.market(3)
    day.sell(2)
    day.end()
    day.reconcile()
    last = day.day
    while working_days_before(last, 3) <= day.day:
        last += timedelta(days=1)
        day.next_day()
    reconciliation.reconcile(last - timedelta(days=1))
    assert not alerts.open_alerts().exists()
    made = reconciliation.reconcile(last)
    assert made is not None
    assert made.state == "differs"
    assert differences() == {("overdue", f"wechatpay:{last}", 596, None)}
    assert list(alerts.open_alerts().values_list("kind", "about", "stops")) == [
        ("settlement_overdue", "wechatpay", False)
    ]
    # It comes, late: the next day is well again.
    day.wechat.control("POST", "settle", {})
    day.next_day()
    made = reconciliation.reconcile(last + timedelta(days=1))
    assert made is not None
    assert (made.state, differences()) == ("matched", set())
    assert not alerts.open_alerts().exists()


def test_a_gateway_that_settles_more_than_was_paid_is_unexplained(day: Day) -> None:
    day.credit(500, "财付通支付科技有限公司")
    day.end()
    assert day.reconcile().state == "unexplained"
    assert differences() == {("too_much", f"wechatpay:{day.day}", -500, None)}


def test_transfers_that_were_swept_before_their_statement_was_read_are_known(day: Day) -> None:
    day.credit(500, "对公转账归集")
    day.end()
    assert day.reconcile().state == "differs"
    assert differences() == {("swept_early", f"transfer:{day.day}", -500, None)}


def test_a_fee_that_nobody_booked_is_booked(day: Day) -> None:
    full_day(day)
    start = bounds(day.day)[1]
    day.later(seconds=(start - timezone.now()).total_seconds() + 40_000)
    market.compare_bills()
    made = day.reconcile()
    assert made.sums["fees"] == {"ledger": 6, "gateway": 6}
    assert books.balances()["fees"] == 6
    assert made.state == "matched"


def test_a_gateway_that_does_not_tell_its_fees_leaves_them_out(day: Day) -> None:
    full_day(day)
    day.end()
    day.wechat.fault("fundflowbill", "error_500_before")
    made = day.reconcile()
    assert made.sums["fees"] == {"ledger": None, "gateway": None}
    assert differences() == {("settlement", f"wechatpay:{day.day}", 6, None)}
    assert day.reconcile().state == "matched"


def test_two_at_once_compare_once(day: Day) -> None:
    full_day(day)
    day.end()
    made = at_once(*[lambda: reconciliation.reconcile(day.day)] * 4)
    assert any(made)
    assert Reconciliation.objects.count() == 1
    assert differences() == set()


def test_a_day_that_is_not_over_is_refused(day: Day) -> None:
    for ahead in (0, 1):
        with pytest.raises(DomainError) as refused:
            reconciliation.reconcile(day.day + timedelta(days=ahead))
        assert refused.value.code == "not_over"


def test_missed_days_are_made_up_for_and_matched_ones_left_alone(day: Day) -> None:
    full_day(day)
    day.end()
    day.later(days=5)
    market.compare_bills()
    assert reconciliation.due_days() == [day.day + timedelta(days=back) for back in range(6)]
    tasks.reconcile_days()
    assert Reconciliation.objects.filter(state="matched").count() == 6
    assert reconciliation.due_days() == [day.day + timedelta(days=back) for back in (3, 4, 5)]


def test_without_any_money_there_is_nothing_to_compare() -> None:
    assert reconciliation.due_days() == []


@pytest.mark.parametrize("asked", ["balance", "statement"])
def test_a_silent_bank_is_asked_again_and_all_else_is_compared(day: Day, asked: str) -> None:
    full_day(day)
    day.sql("wechatpay", "UPDATE transactions SET fen = fen + 1 WHERE rowid = (SELECT min(rowid) FROM transactions)")
    day.end()
    day.bank.fault(asked, "error_500_before")
    tasks.reconcile_days()
    made = Reconciliation.objects.get()
    assert (made.state, differences()) == ("unexplained", {("no_statement", f"standin:{day.day}", None, None)})
    assert made.sums["captured"] == {"ledger": 900, "gateway": 901}
    assert alerts.stopping().filter(kind="reconciliation", about=str(day.day)).exists()
    page = banking.client_of(factories.user(roles.FINANCE)).get(f"/finance/reconciliation/{day.day}/").content.decode()
    assert str(TO_DO[Discrepancy.Kind.NO_STATEMENT]) in html.unescape(page)
    tasks.reconcile_days()
    assert differences() == set()


def test_a_bank_that_stays_silent_stops_runs_after_some_days(day: Day) -> None:
    full_day(day)
    day.end()
    for _ in range(7):
        day.bank.fault("balance", "error_500_before")
        reconciliation.reconcile(day.day)
        day.next_day()
    assert {kind for kind, *_rest in differences(day.day, unexplained=True)} == {"no_statement"}
    assert alerts.stopping().filter(kind="reconciliation", about=str(day.day)).exists()


def test_what_the_bank_had_changed_stays_told_while_it_is_silent(day: Day) -> None:
    full_day(day)
    day.sql("bank", "UPDATE movements SET fen = fen + 5 WHERE fen = 10000")
    day.end()
    day.reconcile()
    (told,) = differences()
    assert told[0] == "row_changed"
    day.bank.fault("balance", "error_500_before")
    day.reconcile()
    assert told in differences()
    day.sql("bank", "UPDATE movements SET fen = fen - 5 WHERE fen = 10005")
    assert day.reconcile().state == "matched"


def test_a_bill_that_never_comes_is_missed_on_a_quiet_day_too(day: Day) -> None:
    full_day(day)
    day.end()
    day.next_day()
    quiet = day.day + timedelta(days=1)
    reconciliation.reconcile(quiet)
    assert differences(quiet) == set()
    Bill.objects.filter(day=quiet).delete()
    reconciliation.reconcile(quiet)
    assert differences(quiet) == {("bill_missing", f"wechatpay:{quiet}", 0, None)}
    # Those of the last month are asked for again, and each is compared with its neighbours.
    day.later(days=12)
    market.compare_bills()
    assert Bill.objects.filter(day=quiet).exists()
    reconciliation.reconcile(quiet)
    assert differences(quiet) == set()


def test_a_day_that_nobody_compared_stops_runs_until_it_is(day: Day) -> None:
    full_day(day)
    day.end()
    watching.watch()
    assert not alerts.stopping().exists()
    day.next_day()
    watching.watch()
    (alert,) = alerts.stopping()
    assert (alert.kind, alert.about) == ("not_compared", str(day.day))
    assert str(day.day) in runs.why_stopped()
    assert runs.run_payouts().payouts == 0
    day.reconcile()
    watching.watch()
    assert runs.why_stopped() == ""
    # A month later, when nothing makes up for it by itself any more, it is still told.
    day.later(days=40)
    watching.watch()
    assert alerts.stopping().count() == 40


def test_the_command_prints_the_day_and_says_by_its_end_whether_all_is_explained(day: Day) -> None:
    full_day(day)
    day.credit(7, "路人甲")
    statements.import_statement()
    day.end()
    said = io.StringIO()
    with pytest.raises(CommandError, match=str(day.day)):
        call_command("reconcile", f"--date={day.day}", "--dry-run", stdout=said)
    assert not Reconciliation.objects.exists()
    with pytest.raises(CommandError, match=str(day.day)):
        call_command("reconcile", f"--date={day.day}", stdout=said)
    text = said.getvalue()
    assert "9.00" in text
    assert "100.01" in text
    before = day.day - timedelta(days=1)
    for made in Discrepancy.objects.filter(kind="row_unexplained"):
        reconciliation.answer(made, text="a gift", by=factories.user("finance"))
    call_command("reconcile", "--from", str(before), "--date", str(day.day), stdout=said)
    assert Reconciliation.objects.count() == 2
    with pytest.raises(CommandError, match="lies after"):
        call_command("reconcile", "--from", str(day.day), "--date", str(before))


@pytest.mark.parametrize(
    ("day_of", "begin", "end"),
    [
        (date(2026, 2, 28), "2026-02-27T16:00:00+00:00", "2026-02-28T16:00:00+00:00"),
        (date(2028, 2, 29), "2028-02-28T16:00:00+00:00", "2028-02-29T16:00:00+00:00"),
        (date(2026, 12, 31), "2026-12-30T16:00:00+00:00", "2026-12-31T16:00:00+00:00"),
    ],
)
def test_a_day_is_a_day_in_shanghai(day_of: date, begin: str, end: str) -> None:
    assert bounds(day_of) == (datetime.fromisoformat(begin), datetime.fromisoformat(end))


def test_working_days_leave_out_weekends() -> None:
    monday = date(2026, 3, 2)
    assert [working_days_before(monday, count) for count in (0, 1, 3, 5, 6)] == [
        monday, date(2026, 2, 27), date(2026, 2, 25), date(2026, 2, 23), date(2026, 2, 20),
    ]  # fmt: skip
