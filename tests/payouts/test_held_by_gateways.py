"""What a gateway says it holds, and has sent to the bank, is held against the books: to the fen, on the day itself."""

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.days import bounds
from payouts import alerts, reconciliation, statements
from payouts.models import Discrepancy
from payouts.reconciliation import gateways
from purchases.gateways.base import Funds
from purchases.gateways.wechatpay.gateway import WechatPay
from purchases.models import Payment
from tests import factories
from tests.payouts.days import Day, differences
from tests.purchases import books
from tests.standins.clients import BankClient, WechatClient

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "财付通支付科技有限公司"


@pytest.fixture
def day(bank: BankClient, gateway: WechatClient, standin_dir: Path, later: Any) -> Day:
    """A day with one sale of three trees: 900 fen, of which the gateway keeps 5 as its fee."""
    made = Day(bank, gateway, standin_dir, later)
    factories.market(6)
    made.sell(3)
    return made


def flow(day: Day, kind: str, fen: int) -> None:
    """The gateway moves money on our account, in its own book."""
    ((balance,),) = day.sql("wechatpay", "SELECT balance_fen FROM flows ORDER BY id DESC LIMIT 1")
    day.sql(
        "wechatpay",
        "INSERT INTO flows (booked_at, business_no, kind, fen, balance_fen, note, voucher) VALUES (?, ?, ?, ?, ?, '', ?)",
        time.time(), f"M{time.time_ns()}", kind, fen, balance + fen, f"V{time.time_ns()}",
    )  # fmt: skip


def withdraw(day: Day, fen: int, *, arrives: int | None = None) -> None:
    """The gateway says that it sent so much to the bank; perhaps another sum arrives there."""
    flow(day, "提现", -fen)
    if arrives is not None:
        day.credit(arrives, NAME)
        statements.import_statement()


def compare(day: Day, ahead: int = 0) -> set[tuple[str, str, int | None, int | None]]:
    made = reconciliation.reconcile(day.day + timedelta(days=ahead))
    assert made is not None
    return differences(made.day)


def test_money_at_the_gateway_or_on_its_way_is_where_it_should_be(day: Day) -> None:
    withdraw(day, 300, arrives=300)
    withdraw(day, 200)
    day.end()
    assert compare(day) == {("settlement", f"wechatpay:{day.day}", 595, None)}
    assert day.reconcile().sums["held"] == {"ledger": 595, "gateway": 595}
    # The one on its way arrives; nothing is left but what the gateway still has.
    day.credit(200, NAME)
    assert compare(day) == {("settlement", f"wechatpay:{day.day}", 395, None)}
    assert not alerts.open_alerts().exists()
    books.all_is_well()


def test_what_a_gateway_keeps_back_is_found_the_next_morning_and_asked_about_once(day: Day) -> None:
    flow(day, "扣款", -50)
    day.end()
    assert ("held", f"wechatpay:{day.day}", 895, 845) in compare(day)
    assert alerts.stopping().filter(kind="reconciliation", about=str(day.day)).exists()
    # It is told with the newest day until somebody has answered.
    day.next_day()
    tomorrow = day.day + timedelta(days=1)
    assert ("held", f"wechatpay:{tomorrow}", 895, 845) in compare(day, 1)
    assert [alert.about for alert in alerts.stopping()] == [str(tomorrow)]
    one = Discrepancy.objects.get(kind="held", state="open")
    reconciliation.answer(one, text="a chargeback, the sponsor pays", by=factories.user(roles.FINANCE))
    assert not alerts.stopping().exists()
    assert compare(day, 1) == {("settlement", f"wechatpay:{tomorrow}", 895, None)}
    day.next_day()
    assert {kind for kind, *_rest in compare(day, 2)} == {"settlement"}
    assert not alerts.stopping().exists()


@pytest.mark.parametrize("answers", [False, True])
def test_what_a_gateway_keeps_back_stays_told_while_it_does_not_say_what_it_has(day: Day, answers: bool) -> None:
    flow(day, "扣款", -50)
    day.end()
    compare(day)
    told, (stopping,) = ("held", f"wechatpay:{day.day}", 895, 845), alerts.stopping()
    if answers:
        day.sql("wechatpay", "UPDATE flows SET balance_fen = balance_fen + 1 WHERE id = (SELECT min(id) FROM flows)")
    # The same day again, the next one, and the first once more when there is a newer one.
    for ahead in (0, 1, 0):
        if ahead:
            day.next_day()
        if not answers:
            day.wechat.fault("fundflowbill", "error_500_before")
        compare(day, ahead)
        assert told in differences(day.day)
        assert list(alerts.stopping()) == [stopping]
    if answers:
        day.sql("wechatpay", "UPDATE flows SET balance_fen = balance_fen - 1 WHERE id = (SELECT min(id) FROM flows)")
    tomorrow = day.day + timedelta(days=1)
    assert ("held", f"wechatpay:{tomorrow}", 895, 845) in compare(day, 1)
    assert told not in differences(day.day)
    assert [alert.about for alert in alerts.stopping()] == [str(tomorrow)]


def test_a_fee_that_changed_stays_told_while_the_gateway_is_silent(day: Day) -> None:
    day.end()
    compare(day)
    day.sql("wechatpay", "UPDATE flows SET fen = -7 WHERE kind = '扣除交易手续费'")
    told = ("fees", f"wechatpay:{day.day}", 5, 7)
    assert told in compare(day)
    day.wechat.fault("fundflowbill", "error_500_before")
    assert told in compare(day)
    day.sql("wechatpay", "UPDATE flows SET fen = -5 WHERE kind = '扣除交易手续费'")
    assert told not in compare(day)


def test_fees_that_nobody_has_booked_are_booked_from_what_was_told_already(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, funds = [], WechatPay.funds

    def noted(self: WechatPay, on: date) -> Funds:
        asked.append(on)
        return funds(self, on)

    monkeypatch.setattr(WechatPay, "funds", noted)
    day.later(days=1)  # Neither fees nor bills were asked for.
    made = day.reconcile()
    assert made.sums["fees"] == {"ledger": 5, "gateway": 5}
    assert asked.count(day.day) == 1


def test_less_than_the_gateway_says_it_sent_is_found(day: Day) -> None:
    withdraw(day, 895, arrives=845)
    day.end()
    assert compare(day) == {
        ("settlement", f"wechatpay:{day.day}", 50, None),
        ("held", f"wechatpay:{day.day}", 50, 0),
    }
    # What is missing comes: all is well again.
    day.credit(50, NAME)
    assert compare(day) == set()
    assert not alerts.stopping().exists()


def test_more_than_the_gateway_says_it_sent_is_found(day: Day) -> None:
    withdraw(day, 300, arrives=310)
    day.end()
    assert ("held", f"wechatpay:{day.day}", 585, 595) in compare(day)


def test_a_gateway_that_does_not_tell_or_whose_balances_do_not_follow_is_not_compared(day: Day) -> None:
    flow(day, "扣款", -50)
    day.end()
    day.wechat.fault("fundflowbill", "error_500_before")
    assert "held" not in day.reconcile().sums
    day.sql("wechatpay", "UPDATE flows SET balance_fen = balance_fen + 1 WHERE id = (SELECT min(id) FROM flows)")
    assert "held" not in day.reconcile().sums
    assert {kind for kind, *_rest in differences()} == {"settlement"}


def test_a_day_whose_balances_do_not_follow_is_not_compared_by_an_earlier_balance(day: Day) -> None:
    for _ in range(2):
        flow(day, "扣款", -50)
    day.sql("wechatpay", "UPDATE flows SET booked_at = booked_at + 86400 WHERE kind = '扣款'")
    day.sql("wechatpay", "UPDATE flows SET balance_fen = balance_fen + 7 WHERE id = (SELECT max(id) FROM flows)")
    day.end()
    assert {kind for kind, *_rest in compare(day)} == {"settlement"}
    day.next_day()
    tomorrow = reconciliation.reconcile(day.day + timedelta(days=1))
    assert tomorrow is not None
    assert "held" not in tomorrow.sums
    assert not alerts.stopping().exists()
    day.sql("wechatpay", "UPDATE flows SET balance_fen = balance_fen - 7 WHERE id = (SELECT max(id) FROM flows)")
    assert ("held", f"wechatpay:{tomorrow.day}", 895, 795) in compare(day, 1)


def test_a_quiet_day_is_compared_by_the_last_balance_there_was(day: Day) -> None:
    flow(day, "扣款", -50)
    day.end()
    day.next_day()
    assert ("held", f"wechatpay:{day.day + timedelta(days=1)}", 895, 845) in compare(day, 1)


def test_nobody_outside_is_asked_while_a_transaction_is_open(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, read = [], gateways.read

    def noted(code: str, on: date) -> Funds | None:
        asked.append((on, connection.in_atomic_block))
        return read(code, on)

    monkeypatch.setattr(gateways, "read", noted)
    day.end()
    compare(day)
    assert len(asked) > 3  # The day and those before it.
    assert not any(is_open for _on, is_open in asked)


def test_a_payment_beside_midnight_may_be_on_either_side(day: Day, later: Any) -> None:
    # Our clock has it before midnight, the gateway's bill after it.
    ((balance,),) = day.sql("wechatpay", "SELECT balance_fen FROM flows ORDER BY id DESC LIMIT 1")
    tomorrow = (timezone.now() + timedelta(days=1)).timestamp()
    day.sell(1)
    end = bounds(day.day)[1]
    Payment.objects.filter(pk=Payment.objects.latest("pk").pk).update(captured_at=end - timedelta(seconds=5))
    day.sql("wechatpay", "UPDATE flows SET booked_at = ? WHERE id > 2", tomorrow)
    assert balance == 895
    day.end()
    assert "held" not in {kind for kind, *_rest in compare(day)}
