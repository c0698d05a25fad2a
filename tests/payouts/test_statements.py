"""The supervised account's statement: each row is booked once, and what does not fit goes to suspense."""

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import StateChange, move
from payouts import sending, statements, tasks
from payouts.banks import bank as channel
from payouts.banks.base import Movement
from payouts.models import Payout, StatementRow
from payouts.runs import Run, run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.processes import Fork, wait_for
from tests.purchases import books
from tests.standins import clients
from tests.standins.clients import BankClient

SERIALS = itertools.count(1000)


def credit(bank: BankClient, fen: int, name: str, reference: str = "") -> None:
    reference = reference or f"R{next(SERIALS)}"
    terms = {"fen": fen, "counterparty_name": name, "remittance": "x", "reference": reference}
    bank.control("POST", "credits", terms)


def row(fen: int, out_no: str = "", **more: Any) -> Movement:
    """A row as a bank might write it."""
    serial = more.pop("serial", next(SERIALS))
    return Movement(str(serial), timezone.now(), fen, more.pop("name", "某人"), "附言", out_no, f"B{serial}")


def kinds() -> list[tuple[str, int]]:
    return list(StatementRow.objects.order_by("pk").values_list("kind", "fen"))


def sent_payout(bank: BankClient, fen: int = 300) -> Payout:
    (household,) = money.households(1)
    money.fund(bank, 2 * fen)
    money.owe({household: fen})
    run_payouts()
    payout = Payout.objects.latest("pk")
    tasks.send_payout(payout.pk)
    payout.refresh_from_db()
    return payout


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("gateway", "code"), [("财付通支付科技有限公司", "wechatpay"), ("支付宝（中国）网络技术有限公司", "alipay")]
)
def test_rows_are_booked_once_and_by_what_they_are(bank: BankClient, settings: Any, gateway: str, code: str) -> None:
    credit(bank, 900, gateway)
    credit(bank, 500, settings.SPONSOR_NAMES[0])
    assert statements.import_statement() == 2
    assert statements.import_statement() == 0
    assert kinds() == [("settlement", 900), ("sponsor", 500)]
    assert books.balances() == {"escrow": 1400, "gateway": -900, "sponsor": -500}
    credit(bank, 1, gateway)
    assert statements.import_statement() == 1
    assert books.balances() == {"escrow": 1401, "gateway": -901, "sponsor": -500}
    assert ledger.balance(ledger.account(Account.Kind.GATEWAY, code)) == -901
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_money_of_strangers_goes_to_suspense_and_stops_payouts_until_somebody_explains_it(
    bank: BankClient, settings: Any
) -> None:
    (household,) = money.households(1)
    money.fund(bank, 1000)
    money.owe({household: 300})
    credit(bank, 77, "好心人")
    credit(bank, 5, settings.SPONSOR_NAMES[0] + "们")
    statements.import_statement()
    assert kinds() == [("sponsor", 1000), ("suspense", 77), ("suspense", 5)]
    assert books.balances() == {"escrow": 1082, "household": -300, "sponsor": -700, "suspense": -82}
    assert books.found() == books.UNEXPLAINED
    assert run_payouts() == Run(0, 0, 0)

    client, finance = Client(), factories.user(roles.FINANCE)
    client.force_login(finance)
    everything = list(StatementRow.objects.values_list("pk", flat=True))
    for pk in everything * 2:  # Every row, and pressed twice: only what is in suspense is booked, and once.
        client.post(reverse("payouts:finance-row-sponsor", args=[pk]), {"reason": "they wrote to us"})
    assert books.balances() == {"escrow": 1082, "household": -300, "sponsor": -782}
    notes = StateChange.objects.filter(thing="payouts.statementrow")
    assert list(notes.values_list("to_state", "by")) == [("explained", finance.pk)] * 2
    assert run_payouts() == Run(1, 300, 0)
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["sponsor", "gateway"])
def test_a_debit_nobody_ordered_goes_to_suspense_whoever_it_names(settings: Any, name: str) -> None:
    known = {"sponsor": settings.SPONSOR_NAMES[0], "gateway": next(iter(settings.GATEWAY_SETTLEMENT_NAMES))}[name]
    statements._book("standin", row(-50, name=known))
    statements._book("standin", row(-20, "NOTOURS"))
    statements._book("standin", row(20, "NOTOURS", name=known))
    assert kinds() == [("suspense", -50), ("suspense", -20), ("suspense", 20)]
    assert books.balances() == {"escrow": -50, "suspense": 50}


@pytest.mark.django_db
def test_a_row_without_an_amount_is_only_kept() -> None:
    statements._book("standin", row(0))
    assert kinds() == [("information", 0)]
    assert books.lines() == []
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fen", [-299, -301, 299, 301])
def test_an_amount_that_is_not_the_payouts_goes_to_suspense(bank: BankClient, fen: int) -> None:
    payout = sent_payout(bank)
    statements._book("standin", row(fen, payout.out_no))
    assert kinds()[-1] == ("suspense", fen)
    payout.refresh_from_db()
    assert payout.state == "succeeded"
    assert not payout.statement_rows.exists()
    assert books.balances()["suspense"] == -fen
    assert "money that nobody has explained" in books.found()


@pytest.mark.django_db(transaction=True)
def test_a_second_debit_of_the_same_payout_goes_to_suspense(bank: BankClient) -> None:
    payout = sent_payout(bank)
    statements.import_statement()
    assert kinds() == [("sponsor", 600), ("payout", -300)]
    statements._book("standin", row(-300, payout.out_no))
    assert kinds()[-1] == ("suspense", -300)
    assert books.balances() == {"sponsor": -300, "suspense": 300}
    assert "money that nobody has explained" in books.found()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_debit_of_a_payout_that_ended_without_it_goes_to_suspense(bank: BankClient, state: str) -> None:
    (household,) = money.households(1)
    money.fund(bank, 600)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    if state == "cancelled":
        sending.cancel(payout, reason="test")
    else:
        sending._begin(payout.pk)
        sending.record(payout.pk, sending.TransferReport(payout.out_no, "failed"))
    statements._book("standin", row(-300, payout.out_no))
    payout.refresh_from_db()
    assert payout.state == state
    assert kinds()[-1] == ("suspense", -300)
    assert books.balances() == {"escrow": 300, "household": -300, "sponsor": -300, "suspense": 300}
    # Nothing more leaves before somebody has looked.
    assert run_payouts() == Run(0, 0, 0)
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["approved", "sending", "failed", "returned"])
def test_a_credit_that_names_a_payout_which_did_not_arrive_goes_to_suspense(bank: BankClient, state: str) -> None:
    payout = sent_payout(bank) if state == "returned" else None
    if payout is None:
        (household,) = money.households(1)
        money.fund(bank, 600)
        money.owe({household: 300})
        run_payouts()
        payout = Payout.objects.get()
        if state != "approved":
            sending._begin(payout.pk)
        if state == "failed":
            sending.record(payout.pk, sending.TransferReport(payout.out_no, "failed"))
    else:
        bank.control("POST", "return", {"out_no": payout.out_no})
        statements.import_statement()
    owed = money.owed_fen(payout.household)
    statements._book("standin", row(300, payout.out_no))
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == (state, owed)
    assert kinds()[-1] == ("suspense", 300)
    assert books.balances()["suspense"] == -300
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db(transaction=True)
def test_a_return_is_owed_again_and_paid_to_the_next_account(bank: BankClient, later: Any) -> None:
    payout = sent_payout(bank)
    statements.import_statement()
    bank.control("POST", "return", {"out_no": payout.out_no, "reason": "账号户名不符"})
    assert statements.import_statement() == 1
    payout.refresh_from_db()
    assert payout.state == "returned"
    assert kinds() == [("sponsor", 600), ("payout", -300), ("return", 300)]
    assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}
    assert money.owed_fen(payout.household) == 300
    books.all_is_well()
    for _ in range(2):  # Told again, asked again: nothing more.
        bank.control("POST", "return", {"out_no": payout.out_no})
        tasks.sweep()
        tasks.send_payout(payout.pk)
    assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}

    factories.account(payout.household)
    later(hours=73)
    tasks.run_payouts()
    again = Payout.objects.latest("pk")
    assert again.out_no != payout.out_no
    assert again.account.version == 2
    tasks.sweep()
    again.refresh_from_db()
    assert again.state == "succeeded"
    tasks.sweep()
    assert books.balances() == {"escrow": 300, "sponsor": -300}
    assert money.owed_fen(payout.household) == 0
    assert kinds() == [("sponsor", 600), ("payout", -300), ("return", 300), ("payout", -300)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["accepted", "unknown", "sending"])
def test_a_return_that_is_read_before_anybody_has_asked_is_a_return(
    state: str, standin_dir: Path, settings: Any
) -> None:
    """The bank takes it, completes it, and gets it back, all before our next question: the statement tells it all."""
    from carbonsink.standins import keys

    process = Fork("bank", standin_dir, "--complete-after", "0.3")
    values = keys.settings_for(standin_dir, "http://127.0.0.1:9", process.url)
    for name, value in values.items():
        setattr(settings, name, value)
    bank = clients.BankClient(process.url, values)
    try:
        if state == "unknown":
            bank.fault("transfer", "error_500_after")
        if state == "sending":
            (household,) = money.households(1)
            money.fund(bank, 600)
            money.owe({household: 300})
            run_payouts()
            payout = Payout.objects.get()
            attempt = sending._begin(payout.pk)
            assert attempt is not None
            channel("standin").submit(sending.instruction_of(payout))  # And its sender dies here.
            payout.refresh_from_db()
        else:
            payout = sent_payout(bank)
        assert payout.state == state
        wait_for(lambda: money.transfers(bank)[0]["status"] == "succeeded")
        bank.control("POST", "return", {"out_no": payout.out_no})
        tasks.sweep()
        payout.refresh_from_db()
        assert payout.state == "returned"
        assert list(payout.attempts.values_list("state", flat=True)) == ["succeeded"]
        assert kinds() == [("sponsor", 600), ("payout", -300), ("return", 300)]
        assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}
        tasks.sweep()
        assert books.balances() == {"escrow": 600, "household": -300, "sponsor": -300}
        books.all_is_well()
    finally:
        bank.http.close()
        process.end()


@pytest.mark.django_db(transaction=True)
def test_a_debit_proves_what_was_believed_never_to_have_reached_the_bank(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 600)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    attempt = sending._begin(payout.pk)
    assert attempt is not None
    channel("standin").submit(sending.instruction_of(payout))
    move(attempt, "unsent", reason="wrongly")
    tasks.sweep()
    payout.refresh_from_db()
    assert (payout.state, payout.attempts.get().state) == ("succeeded", "succeeded")
    assert len(money.transfers(bank)) == 1
    assert books.balances() == {"escrow": 300, "sponsor": -300}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_lock", [True, False])
def test_two_importers_at_once_book_each_row_once(
    bank: BankClient, settings: Any, with_lock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        credit(bank, 10, settings.SPONSOR_NAMES[0])
    if not with_lock:  # The database refuses the second one all the same, and nothing is doubled.
        from carbonsink.locks import only_one

        names = itertools.count()
        monkeypatch.setattr(statements, "only_one", lambda name: only_one(f"{name}{next(names)}"))
    done = at_once(*[statements.import_statement] * 4)
    statements.import_statement()
    if with_lock:
        assert sum(done) == 20
    assert kinds() == [("sponsor", 10)] * 20
    assert books.balances() == {"escrow": 200, "sponsor": -200}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "fault", ["error_500_before", "error_500_after", "accept_then_silence", "garbage", "bad_signature"]
)
def test_a_statement_that_does_not_come_is_read_by_the_next_sweep(bank: BankClient, settings: Any, fault: str) -> None:
    credit(bank, 10, settings.SPONSOR_NAMES[0])
    bank.fault("statement", fault)
    tasks.sweep()
    assert kinds() == []
    tasks.sweep()
    assert kinds() == [("sponsor", 10)]
    assert books.balances() == {"escrow": 10, "sponsor": -10}


@pytest.mark.django_db(transaction=True)
def test_gaps_in_the_serials_are_fine(bank: BankClient, settings: Any) -> None:
    # Each transfer to a household takes two serials of the bank, of which we see one.
    payout = sent_payout(bank)
    credit(bank, 10, settings.SPONSOR_NAMES[0])
    assert statements.import_statement() == 2
    serials = list(StatementRow.objects.order_by("pk").values_list("serial", flat=True))
    assert int(serials[-1]) - int(serials[0]) > 2
    assert payout.statement_rows.get().serial == serials[1]
    assert statements.import_statement() == 0


@pytest.mark.django_db(transaction=True)
def test_a_crash_in_the_middle_goes_on_where_it_stopped(
    bank: BankClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        credit(bank, 10, settings.SPONSOR_NAMES[0])
    book, left = statements._book, [3]

    def crash(code: str, movement: Movement) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        book(code, movement)

    with monkeypatch.context() as killed:
        killed.setattr(statements, "_book", crash)
        with pytest.raises(KeyboardInterrupt):
            statements.import_statement()
    assert len(kinds()) == 3
    assert statements.import_statement() == 2
    assert books.balances() == {"escrow": 50, "sponsor": -50}


@pytest.mark.django_db(transaction=True)
def test_strange_texts_on_the_statement_are_kept(bank: BankClient) -> None:
    credit(bank, 10, "a\u202eb <script>", "r\u00e9f")
    assert statements.import_statement() == 1
    kept = StatementRow.objects.get()
    assert (kept.kind, kept.counterparty) == ("suspense", "a\u202eb <script>")
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    page = client.get(reverse("admin:payouts_statementrow_change", args=[kept.pk]))
    assert page.status_code == 200
    assert "<script>" not in page.content.decode().split("<main", 1)[-1].replace("<script src", "")
    assert kept.booked_at > timezone.now() - timedelta(minutes=5)
