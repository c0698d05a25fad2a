"""Sending by Alipay to bank cards with every fault: one transfer for each payout, whatever is heard of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.messages.models import Message
from payouts import alerts, reconciliation, sending, statements, tasks
from payouts.banks import bank as channel
from payouts.banks.alipay import account_log
from payouts.banks.alipay.bank import AlipayTransfers
from payouts.banks.base import BankError
from payouts.models import Alert, Discrepancy, Payout
from payouts.runs import available_fen, run_payouts
from tests.ground.threads import at_once
from tests.payouts import money
from tests.payouts.cards import approved, arrived_once, fund, states, transfers
from tests.processes import Fork
from tests.purchases import books
from tests.standins.cards import CardClient

pytestmark = pytest.mark.django_db(transaction=True)
SILENT = ["accept_then_silence", "error_500_after", "garbage", "bad_signature"]


def ask_all() -> None:
    for one in sending.to_ask():
        tasks.ask(one)


def test_a_payout_arrives(cards: CardClient) -> None:
    payout = approved(cards)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("succeeded", ["succeeded"])
    assert payout.completed_at is not None
    assert abs(payout.completed_at - timezone.now()) < timedelta(minutes=1)
    arrived_once(cards, payout)
    tasks.send_payout(payout.pk)
    arrived_once(cards, payout)


def test_the_whole_way_of_many_households(cards: CardClient) -> None:
    households = money.households(5)
    fund(cards, 5000)
    money.owe({household: 300 + number for number, household in enumerate(households)})
    tasks.run_payouts()
    bells = [lambda pk=pk: tasks.send_payout(pk) for pk in sending.to_send()]
    assert at_once(tasks.sweep, *bells, *bells, tasks.sweep) == [None] * 12
    tasks.sweep()
    assert [state for _, _, state in money.payouts()] == ["succeeded"] * 5
    assert sorted(one["fen"] for one in transfers(cards)) == [300, 301, 302, 303, 304]
    assert cards.book()["balance_fen"] == 5000 - 1510
    assert books.balances() == {"escrow": 3490, "sponsor": -3490}
    assert run_payouts().payouts == 0
    books.all_is_well()


def test_the_balance_at_the_end_of_a_day_is_held_against_the_books(
    cards: CardClient, settings: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PAYMENT_GATEWAYS = ["transfer"]
    payout, today = approved(cards), timezone.localdate()
    tasks.send_payout(payout.pk)
    tasks.read_statement("alipay")
    left = cards.book()["balance_fen"]
    # Of a day, of a quiet one after it, and of one before there was anything.
    assert [AlipayTransfers().closing_fen(today + timedelta(days=ahead)) for ahead in (0, 3, -1)] == [left, left, None]
    later(days=1)
    made = reconciliation.reconcile(today)
    assert made is not None
    assert (made.state, made.sums["closing"]) == ("matched", {"ledger": left, "bank": left})
    read = account_log.read
    monkeypatch.setattr(account_log, "read", lambda *asked: [replace(row, balance_fen=1) for row in read(*asked)])
    assert AlipayTransfers().closing_fen(today) is None  # Balances that do not follow from what moved say nothing.
    monkeypatch.setattr(account_log, "read", lambda *asked: [])
    reconciliation.reconcile(today)
    assert "row_gone" in set(Discrepancy.objects.filter(state="open").values_list("kind", flat=True))


@pytest.mark.parametrize("fault", SILENT)
def test_what_alipay_does_not_confirm_is_asked_about_and_not_sent_again(cards: CardClient, fault: str) -> None:
    payout = approved(cards)
    cards.fault("transfer", fault)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("unknown", ["unknown"])
    tasks.send_payout(payout.pk)
    for query_fault in (*SILENT, "error_500_before"):
        cards.fault("transfer_query", query_fault)
        ask_all()
        assert states(payout) == ("unknown", ["unknown"])
    ask_all()
    arrived_once(cards, payout)


@pytest.mark.parametrize("fault", [*SILENT, "error_500_before"])
def test_the_log_alone_settles_what_nobody_confirmed(cards: CardClient, fault: str) -> None:
    payout = approved(cards)
    cards.fault("transfer", "accept_then_silence")
    tasks.send_payout(payout.pk)
    cards.fault("transfer_query", "error_500_before", times=None)
    cards.fault("account_log", fault)
    tasks.sweep()
    assert states(payout) == ("unknown", ["unknown"])
    tasks.sweep()
    assert states(payout) == ("succeeded", ["succeeded"])
    arrived_once(cards, payout)


def test_a_request_that_comes_twice_makes_one_transfer(cards: CardClient) -> None:
    payout = approved(cards)
    cards.fault("transfer", "duplicate")
    tasks.send_payout(payout.pk)
    arrived_once(cards, payout)


def test_what_alipay_never_heard_of_goes_again_after_a_day_as_it_was(cards: CardClient, later: Any) -> None:
    payout = approved(cards)
    cards.fault("transfer", "error_500_before")
    tasks.send_payout(payout.pk)
    later(hours=23)
    tasks.sweep()
    assert states(payout) == ("unknown", ["unknown"])
    assert transfers(cards) == []
    later(hours=1, minutes=1)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    assert len(set(payout.attempts.values_list("request_sha256", flat=True))) == 1
    arrived_once(cards, payout)


def test_what_never_reached_alipay_is_sent_again(cards: CardClient, settings: Any, later: Any) -> None:
    payout = approved(cards)
    there, settings.ALIPAY_GATEWAY_URL = settings.ALIPAY_GATEWAY_URL, "http://127.0.0.1:9/gateway.do"
    tasks.send_payout(payout.pk)
    assert states(payout) == ("sending", ["unsent"])
    settings.ALIPAY_GATEWAY_URL = there
    later(seconds=41)
    tasks.sweep()
    assert states(payout) == ("succeeded", ["unsent", "succeeded"])
    arrived_once(cards, payout)


def test_too_little_in_the_account_is_a_refusal(cards: CardClient) -> None:
    (household,) = money.households(1)
    fund(cards, 300)
    money.owe({household: 300})
    run_payouts()
    cards.transfer("0.10")  # Somebody takes money by hand.
    payout = Payout.objects.get()
    tasks.send_payout(payout.pk)
    assert states(payout) == ("failed", ["failed"])
    assert [row.reason for row in payout.history()][-1] == "PAYER_BALANCE_NOT_ENOUGH"
    assert money.owed_fen(household) == 300
    assert len(transfers(cards)) == 1


def test_a_card_that_is_refused_leaves_the_money_owed(cards: CardClient) -> None:
    payout = approved(cards)
    cards.control("POST", "cards", {"card": payout.account.number, "state": "refused"})
    tasks.send_payout(payout.pk)
    assert states(payout) == ("failed", ["failed"])
    assert money.owed_fen(payout.household) == 300
    assert (transfers(cards), available_fen("alipay")) == ([], 600)
    statements.import_statement()
    books.all_is_well()


def test_a_card_that_fails_later_is_a_return_for_the_money_had_left(cards: CardClient) -> None:
    payout = approved(cards)
    cards.control("POST", "cards", {"card": payout.account.number, "state": "failing"})
    tasks.send_payout(payout.pk)
    assert states(payout) == ("succeeded", ["succeeded"])  # It left, and its row is still to come.
    statements.import_statement()
    assert states(payout) == ("returned", ["succeeded"])
    assert money.owed_fen(payout.household) == 300
    assert sorted(payout.statement_rows.values_list("kind", "fen")) == [("payout", -300), ("return", 300)]
    assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}
    books.all_is_well()
    cards.control("POST", "cards", {"card": payout.account.number, "state": "well"})


def test_a_failure_whose_money_never_left_is_a_failure(cards: CardClient, monkeypatch: pytest.MonkeyPatch) -> None:
    payout = approved(cards)
    cards.control("POST", "cards", {"card": payout.account.number, "state": "failing"})
    monkeypatch.setattr(type(channel("alipay")), "_left", lambda self, out_no: False)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("failed", ["failed"])
    assert money.owed_fen(payout.household) == 300


def test_a_failure_is_not_taken_for_never_sent_when_the_log_cannot_be_asked(
    cards: CardClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = approved(cards)
    cards.control("POST", "cards", {"card": payout.account.number, "state": "failing"})
    ask = AlipayTransfers._ask

    def unreachable(self: AlipayTransfers, method: str, content: str, *at: Any) -> Any:
        if method == account_log.METHOD:
            raise BankError("unsent", "NO_CONNECTION")
        return ask(self, method, content, *at)

    monkeypatch.setattr(AlipayTransfers, "_ask", unreachable)
    tasks.send_payout(payout.pk)
    assert states(payout) == ("unknown", ["unknown"])
    monkeypatch.undo()
    ask_all()
    statements.import_statement()
    assert states(payout) == ("returned", ["succeeded"])
    assert not Message.objects.filter(key__startswith="payout-arrived").exists()  # It never did.
    books.all_is_well()


@pytest.mark.parametrize("nameless", [False, True])
def test_a_return_days_later_is_owed_again(cards: CardClient, nameless: bool) -> None:
    payout = approved(cards)
    tasks.send_payout(payout.pk)
    statements.import_statement()
    cards.control(
        "POST", "return-transfer", {"out_biz_no": payout.out_no, "nameless": nameless, "reason": "账户已销户"}
    )
    for _ in range(2):
        statements.import_statement()
    assert states(payout) == ("returned", ["succeeded"])
    assert "账户已销户" in payout.history().latest("pk").reason
    assert money.owed_fen(payout.household) == 300
    assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}
    books.all_is_well()


def test_a_return_heard_of_before_its_row_waits_for_it(cards: CardClient) -> None:
    payout = approved(cards)
    cards.fault("transfer", "accept_then_silence")
    tasks.send_payout(payout.pk)
    cards.control("POST", "return-transfer", {"out_biz_no": payout.out_no})
    ask_all()
    assert states(payout) == ("succeeded", ["succeeded"])
    assert money.owed_fen(payout.household) == 0  # Not owed twice: the money is not back yet.
    statements.import_statement()
    assert states(payout) == ("returned", ["succeeded"])
    books.all_is_well()


def test_a_fee_is_the_sponsors_expense_and_no_households(standin_dir: Any, cards_process: Any, settings: Any) -> None:
    process = Fork("alipay", standin_dir, "--complete-after", "0", "--transfer-fee-rate", "0.01")
    settings.ALIPAY_GATEWAY_URL = f"{process.url}/gateway.do"
    cards = CardClient(process.url, {name: getattr(settings, name) for name in dir(settings) if "ALIPAY" in name})
    payout = approved(cards)
    tasks.send_payout(payout.pk)
    statements.import_statement()
    (transfer,) = transfers(cards)
    assert transfer["fen"] == 300
    assert books.balances() == {"escrow": 297, "fees": 3, "sponsor": -300}
    assert cards.book()["balance_fen"] == 297
    books.all_is_well()
    cards.http.close()
    process.end()


def test_money_of_strangers_goes_to_suspense_and_stops_runs(cards: CardClient) -> None:
    approved(cards)
    cards.fund(77, "某人")
    statements.import_statement()
    assert ledger.balance(ledger.account(Account.Kind.SUSPENSE)) == -77
    assert run_payouts().payouts == 0


def test_another_amount_than_ours_is_believed_in_nothing(cards: CardClient, monkeypatch: pytest.MonkeyPatch) -> None:
    payout = approved(cards)
    cards.fault("transfer", "accept_then_silence")
    tasks.send_payout(payout.pk)
    sending.record(payout.pk, sending.TransferReport(payout.out_no, "succeeded", fen=301))
    assert states(payout) == ("unknown", ["unknown"])
    alert = Alert.objects.get()
    assert (alert.kind, alert.about, alert.state) == ("report_contradicts", payout.out_no, "open")
    assert not alerts.stopping().exists()
    ask_all()
    arrived_once(cards, payout)
