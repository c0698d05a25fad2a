"""Bank transfers: what fits exactly pays its order by itself, everything else waits for a person, its money in sight."""

import pytest
from django.test import Client
from django.utils.translation import override

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from payouts import runs
from purchases import tasks
from purchases.models import BankFile, Order, Payment, Refund, Transfer
from purchases.orders import expire_order
from purchases.transfers import answering, importing, matching
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import banking, books, losing
from tests.purchases.losing import state_of

pytestmark = pytest.mark.django_db


def waiting() -> list[tuple[int, str]]:
    return list(Transfer.objects.filter(state="waiting").order_by("pk").values_list("fen", "why"))


def test_a_transfer_that_names_its_order_pays_it() -> None:
    factories.market(3)
    order = banking.order(2)
    number = f"{order.number[:4].lower()}-{order.number[4:8]} {order.number[8:]}"
    outcome = banking.send(banking.row(600, f"购买碳汇 {number} 谢谢", serial="B1"))
    assert (outcome.new, outcome.matched, outcome.debits) == (1, 1, 0)
    assert state_of(order) == "paid"
    transfer, payment = Transfer.objects.get(), Payment.objects.get(gateway="transfer")
    assert (transfer.state, transfer.payment, transfer.why) == ("matched", payment, "")
    assert (payment.state, payment.captured_fen, payment.transaction_id) == ("captured", 600, "bank:B1")
    assert (transfer.payer_name, transfer.remittance) == ("贵州青山科技有限公司", f"购买碳汇 {number} 谢谢")
    assert books.balances() == {"gateway": 600, "household": -600}
    assert ledger.balance(matching.suspense()) == 0
    assert order.certificates.count() == 1
    books.all_is_well()


def test_the_same_file_and_overlapping_files_count_each_transfer_once() -> None:
    factories.market(3)
    first, second = banking.order(1), banking.order(1)
    one, two = banking.row(300, first.number, serial="B1"), banking.row(300, second.number, serial="B2")
    assert banking.send(one).new == 1
    again = banking.send(one)
    assert (again.new, again.known, BankFile.objects.count()) == (0, True, 1)
    assert banking.send(one, two).new == 1
    assert list(Transfer.objects.order_by("pk").values_list("serial", "state")) == [
        ("B1", "matched"),
        ("B2", "matched"),
    ]
    assert list(BankFile.objects.order_by("pk").values_list("rows", "new_rows")) == [(1, 1), (2, 1)]
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


def test_a_known_number_with_another_amount_stores_nothing_of_its_file() -> None:
    factories.market(3)
    order = banking.order(1)
    banking.send(banking.row(100, "x", serial="B1"))
    with pytest.raises(DomainError) as refused, override("en"):
        banking.send(banking.row(300, order.number, serial="B2"), banking.row(101, "x", serial="B1"))
    assert refused.value.code == "other_amount"
    assert refused.value.details["problems"] == [
        "Line 3: the bank's number B1 came with another amount before. Ask the bank."
    ]
    assert (Transfer.objects.count(), BankFile.objects.count()) == (1, 1)
    assert state_of(order) == "held"


@pytest.mark.parametrize(("fen", "why"), [(599, "partial"), (601, "over"), (1, "partial")])
def test_another_amount_waits_and_its_money_is_in_sight(fen: int, why: str) -> None:
    factories.market(3)
    order = banking.order(2)
    banking.transfer(fen, order.number)
    assert waiting() == [(fen, why)]
    assert state_of(order) == "held"
    assert books.balances() == {"gateway": fen, "suspense": -fen}
    assert not Payment.objects.filter(gateway="transfer").exists()
    books.all_is_well()


def test_a_transfer_that_names_no_order_waits_and_keeps_no_household_waiting() -> None:
    (owner,) = factories.market(3)
    factories.account(owner)
    factories.paid_order(1)
    banking.transfer(1, "给你一分钱")
    assert waiting() == [(1, "unknown")]
    money.settle(10_000)
    assert runs.run_payouts().fen == 300
    books.all_is_well()


def test_a_second_transfer_for_a_paid_order_waits() -> None:
    factories.market(3)
    order = banking.order(2)
    for _turn in range(2):
        banking.transfer(600, order.number)
    assert waiting() == [(600, "double")]
    assert books.balances() == {"gateway": 1200, "household": -600, "suspense": -600}
    books.all_is_well()


def test_a_late_transfer_takes_trees_again_while_there_are_any() -> None:
    factories.market(2)
    order, other = banking.order(2), None
    expire_order(order)
    banking.transfer(600, order.number)
    assert state_of(order) == "paid"
    late = factories.market(1) and banking.order(1)
    expire_order(late)
    other = factories.paid_order(1)
    transfer = banking.transfer(300, late.number)
    assert other.state == "paid"
    assert (transfer.state, transfer.why, state_of(late)) == ("waiting", "late", "expired")
    assert not Refund.objects.exists()
    assert books.balances() == {"gateway": 1200, "household": -900, "suspense": -300}
    books.all_is_well()


def test_what_was_taken_in_and_not_looked_at_is_looked_at_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.market(3)
    order = banking.order(2)

    def die(transfer_id: int) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(importing.matching, "look_at", die)
        with pytest.raises(KeyboardInterrupt):
            banking.send(banking.row(600, order.number))
    assert waiting() == [(600, "")]
    books.all_is_well()
    tasks.sweep()
    assert (waiting(), state_of(order)) == ([], "paid")
    books.all_is_well()


def test_a_person_puts_two_partial_transfers_together() -> None:
    factories.market(3)
    order, finance = banking.order(2), factories.user(roles.FINANCE)
    first, second = banking.transfer(250, order.number), banking.transfer(350, order.number)
    payment = answering.belongs_to([first, second], order, by=finance, reason="the second is the rest")
    assert (payment.captured_fen, payment.transaction_id) == (600, f"bank:{first.serial}")
    assert state_of(order) == "paid"
    assert list(Transfer.objects.values_list("state", "payment")) == [("matched", payment.pk)] * 2
    change = first.history().get()
    assert (change.by, change.reason) == (finance, "the second is the rest")
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


def test_what_was_transferred_too_much_goes_back() -> None:
    factories.market(3)
    order, finance = banking.order(2), factories.user(roles.FINANCE)
    transfer = banking.transfer(650, order.number)
    answering.belongs_to([transfer], order, by=finance, reason="rounded up")
    refund = Refund.objects.get()
    transfer.refresh_from_db()
    assert (refund.reason, refund.fen, transfer.refund) == ("over", 50, refund)
    assert state_of(order) == "paid"
    assert books.balances() == {"gateway": 650, "household": -600, "refunds": -50}
    books.all_is_well()


def test_answers_that_cannot_be_are_refused_and_change_nothing() -> None:
    factories.market(4)
    order, finance = banking.order(2), factories.user(roles.FINANCE)
    small, whole, more = (banking.transfer(fen, "?") for fen in (100, 600, 600))
    before = books.lines()
    for transfers, reason, code in (
        ([small], "x", "not_enough"),
        ([whole, more], "x", "too_many"),
        ([whole], " ", "no_reason"),
    ):
        with pytest.raises(DomainError) as refused:
            answering.belongs_to(transfers, order, by=finance, reason=reason)
        assert refused.value.code == code
    assert books.lines() == before
    answering.belongs_to([whole], order, by=finance, reason="by telephone")
    for transfer, code in ((more, "not_payable"), (whole, "wrong_state")):
        with pytest.raises(DomainError) as refused:
            answering.belongs_to([transfer], order, by=finance, reason="x")
        assert refused.value.code == code
    with pytest.raises(DomainError) as refused:
        answering.send_back(Transfer.objects.get(pk=whole.pk), by=finance, reason="x")
    assert refused.value.code == "wrong_state"
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_answer_at_once_one_is_heard() -> None:
    factories.market(4)
    orders, finance = [banking.order(1), banking.order(1)], factories.user(roles.FINANCE)
    transfer = banking.transfer(300, "?")
    outcomes = at_once(
        lambda: answering.belongs_to([transfer], orders[0], by=finance, reason="x"),
        lambda: answering.belongs_to([transfer], orders[1], by=finance, reason="x"),
        lambda: answering.send_back(transfer, by=finance, reason="x"),
    )
    refused = [one for one in outcomes if isinstance(one, Exception)]
    assert [getattr(one, "code", one) for one in refused] == ["wrong_state"] * 2
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_one_file_sent_by_four_people_at_once_counts_once() -> None:
    factories.market(3)
    order = banking.order(2)
    finance = [factories.user(roles.FINANCE) for _ in range(4)]
    line = banking.row(600, order.number)
    outcomes = at_once(*[lambda by=one: banking.send(line, by=by) for one in finance])
    assert sorted(one.new for one in outcomes) == [0, 0, 0, 1]
    assert Payment.objects.filter(gateway="transfer", state="captured").count() == 1
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_transfer_and_a_capture_at_once_pay_once() -> None:
    factories.market(3)
    order = banking.order(2)
    line, by = banking.row(600, order.number), factories.user(roles.FINANCE)
    outcomes = at_once(
        lambda: banking.send(line, by=by), lambda: factories.capture(order.payments.get(gateway="wechatpay"))
    )
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    assert state_of(order) == "paid"
    assert (Transfer.objects.get().state, Refund.objects.count()) in (("matched", 1), ("waiting", 0))
    books.all_is_well()


def test_finance_alone_sees_the_pages() -> None:
    transfer_page = f"/finance/transfers/{banking.transfer(5, 'x').pk}/"
    for address in ("/finance/transfers/", transfer_page, "/finance/returns/", "/finance/differences/"):
        assert banking.client_of().get(address).status_code == 200
        for role in (roles.OFFICER, roles.REVIEWER, roles.ADMINISTRATOR, roles.BUYER):
            assert banking.client_of(factories.user(role)).get(address).status_code == 404, (address, role)
        assert Client().get(address).status_code == 302
    for address in ("answer", "return"):
        assert banking.client_of(factories.user(roles.OFFICER)).post(transfer_page + address).status_code == 404
    assert banking.upload(banking.client_of(factories.user(roles.OFFICER)), b"x").status_code == 404
    assert Order.objects.count() == 0


def test_finance_answers_on_the_page() -> None:
    factories.market(4)
    order, finance = banking.order(2), factories.user(roles.FINANCE)
    client = banking.client_of(finance)
    wrong = ("2" if order.number[3] != "2" else "3").join([order.number[:3], order.number[4:]])
    content = (banking.HEADING + banking.row(250, wrong) + banking.row(350, "余款")).encode()
    answer = banking.upload(client, content)
    assert answer.status_code == 302
    first, second = Transfer.objects.order_by("pk")
    page = client.get(f"/finance/transfers/{first.pk}/").content.decode()
    assert order.number in page
    assert "Its number is in the remittance, but for one character." in page
    assert "2 waiting transfers are ¥6.00 together." in page
    data = {"order": order.number, "with_others": f"{first.pk} {second.pk} ", "reason": "called them"}
    assert client.post(f"/finance/transfers/{first.pk}/answer", data).status_code == 302
    assert state_of(order) == "paid"
    assert Account.objects.get(code="suspense:transfers")
    assert "called them" in client.get(f"/finance/transfers/{first.pk}/").content.decode()
    again = client.post(f"/finance/transfers/{first.pk}/answer", data)
    assert again.status_code == 409
    books.all_is_well()


def test_a_transfer_for_a_tree_that_has_left_lets_go_of_it_before_anything_else_is_locked() -> None:
    """Expiring and paying in one transaction would lock stock rows out of their order."""
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    order = banking.order(1, tree=tree)
    losing.leave(tree)
    transfer = banking.transfer(300, order.number)
    order.refresh_from_db()
    assert (transfer.state, transfer.why, order.state) == ("waiting", "late", "expired")
    assert order.history().get().reason == "a tree has left"
    assert books.balances() == {"gateway": 300, "suspense": -300}
    books.all_is_well()


def test_the_api_opens_no_payment_of_an_order_that_is_paid_by_transfer() -> None:
    """It is held for days, and a payment would be open as long."""
    factories.market(1)
    order = banking.order(1)
    answer = Client().post(f"/api/v1/orders/{order.token}/payment")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_offered")
    assert set(Payment.objects.values_list("pay_url", flat=True)) == {""}
