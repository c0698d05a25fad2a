"""Every sink's money is followed to the bank and back, by whatever number somebody has."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from carbonsink.accounts import roles
from payouts import daily, finding, follow, sending, statements
from payouts.models import Payout, StatementRow
from payouts.runs import run_payouts
from purchases import givebacks
from purchases.models import Order
from tests import factories
from tests.payouts import money
from tests.payouts.test_clarifications import WHY, clarified, payout_in, row
from tests.purchases import books, losing
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(factories.user(roles.FINANCE))
    return client


def arrive(bank: BankClient, fen: int = 10_000) -> None:
    """Pays out what is owed, through the bank, and reads its statement."""
    money.fund(bank, fen)
    run_payouts()
    for pk in sending.to_send():
        sending.send_payout(pk)
    statements.import_statement()


def sold(*trees: int) -> Order:
    for owner in factories.market(*trees):
        factories.account(owner)
    return factories.paid_order(sum(trees))


def numbers_of(order: Order) -> dict[str, str]:
    """Everything that somebody may have in hand of an order whose money has arrived at one household."""
    payment, payout = order.payments.get(), Payout.objects.get()
    row = payout.statement_rows.get()
    certificate = order.certificate
    assert certificate is not None
    return {
        "order": order.number,
        "order in small letters": order.number.lower(),
        "our reference": payment.reference,
        "transaction": payment.transaction_id or "",
        "certificate": certificate.serial,
        "tree": order.sinks.order_by("pk").first().tree.number,  # type: ignore[union-attr]
        "payout": payout.out_no,
        "bank reference": payout.bank_reference,
        "row of the statement": row.serial,
    }


def test_whatever_number_is_typed_leads_to_all_the_others(bank: BankClient, finance: Client) -> None:
    order = sold(2)
    arrive(bank)
    numbers = numbers_of(order)
    payout = Payout.objects.get()
    for what, typed in numbers.items():
        answer = finance.get("/finance/follow/", {"q": f" {typed} "})
        page = answer.content.decode()
        assert answer.status_code == 200
        assert order.number in page, what
        assert payout.out_no in page, what
        assert payout.bank_reference in page, what
        assert payout.statement_rows.get().serial in page, what
        assert "Arrived" in page, what
    books.all_is_well()


def test_the_chain_has_each_step_with_its_number_and_amount(bank: BankClient) -> None:
    order = sold(3, 2)
    arrive(bank)
    chain = follow.of_order(order)
    assert [one.transaction_id for one in chain.payments] == [order.payments.get().transaction_id]
    assert (chain.lines, chain.lines_fen, chain.more) == (2, 1500, 0)
    assert [(one.line.fen, one.line.trees, one.mine) for one in chain.branches] == [(900, 3, None), (600, 2, None)]
    for branch in chain.branches:
        (leg,) = branch.legs
        assert leg.payout.household == branch.household
        assert [attempt.state for attempt in leg.attempts] == ["succeeded"]
        assert [(row.kind, row.fen) for row in leg.rows] == [("payout", -branch.line.fen)]
        assert leg.taken and leg.arrived and not leg.reversed


def test_a_tree_shares_its_line_with_the_others_of_the_order(finance: Client) -> None:
    (owner,) = factories.market(3)
    order = factories.paid_order(2)
    sink = order.sinks.order_by("pk").first()
    assert sink is not None
    chain = follow.of_sink(sink)
    assert chain is not None
    (branch,) = chain.branches
    assert (branch.line.fen, branch.line.trees, branch.mine, branch.legs) == (600, 2, 1, [])
    page = finance.get("/finance/follow/", {"q": sink.tree.number}).content.decode()
    assert "1 of the 2 trees this line is for" in page
    assert "No payout has taken it yet: it waits." in page
    (unsold,) = owner.trees.exclude(sinks__order=order)
    page = finance.get("/finance/follow/", {"q": unsold.number}).content.decode()
    assert "Nobody has paid for this tree in this year." in page


def test_trees_are_found_by_their_number_in_groups() -> None:
    (owner,) = factories.market(1)
    tree = owner.trees.get()
    grouped = f"{tree.number[:12]} {tree.number[12:15]} {tree.number[15:]}"
    assert [(one.kind, one.pk) for one in finding.find(grouped)] == [("tree", tree.pk)]


def test_what_came_back_is_followed_to_the_payout_that_took_it_anew(
    bank: BankClient, later: Any, finance: Client
) -> None:
    order = sold(1)
    arrive(bank)
    first = Payout.objects.get()
    bank.control("POST", "return", {"out_no": first.out_no, "reason": "账号户名不符"})
    statements.import_statement()
    (branch,) = follow.of_order(order).branches
    (leg,) = branch.legs
    assert leg.reversed is not None
    assert leg.reason.endswith("账号户名不符")
    assert [row.kind for row in leg.rows] == ["payout", "return"]
    page = finance.get("/finance/follow/", {"q": order.number}).content.decode()
    assert "No payout has taken it since: it waits." in page
    factories.account(first.household)
    later(hours=73)
    arrive(bank)
    second = Payout.objects.latest("pk")
    (branch,) = follow.of_order(order).branches
    assert [one.payout.out_no for one in branch.legs] == [first.out_no, second.out_no]
    assert [one.payout.out_no for one in follow.of_payout(first).legs] == [first.out_no, second.out_no]
    back = follow.of_payout(second)
    assert [(one.line.kind, one.line.reference) for one in back.branches] == [("reversed", f"reversed:{first.out_no}")]
    row = StatementRow.objects.get(kind="return")
    assert [one.pk for one in finding.find(row.serial)] == [first.pk]


def test_a_stand_in_is_followed_to_what_the_sponsor_owes_its_household() -> None:
    first, second = factories.market(1, 1)
    order = factories.paid_order(tree=first.trees.get())
    losing.leave(first.trees.get())
    losing.sweep()
    chain = follow.of_sink(order.sinks.get())
    assert chain is not None
    assert [(one.line.kind, one.household, one.line.fen) for one in chain.branches] == [("replacement", second, 300)]
    assert {one.line.kind for one in follow.of_order(order).branches} == {"capture", "replacement"}


def test_what_was_given_back_is_seen_beside_what_was_owed() -> None:
    order = sold(2)
    sink = order.sinks.order_by("pk").first()
    assert sink is not None
    refund = givebacks.give_back(order, [sink.pk], by=None, reason="asked")
    chain = follow.of_order(order)
    assert [(one.line.kind, one.line.fen) for one in chain.branches] == [("giveback", -300), ("capture", 600)][::-1]
    assert chain.lines_fen == 300
    assert [one.pk for one in finding.find(refund.number)] == [order.pk]
    sink.refresh_from_db()
    gone = follow.of_sink(sink)
    assert gone is not None
    assert sorted(one.line.kind for one in gone.branches) == ["capture", "giveback"]


def test_a_row_without_a_payout_is_shown_by_itself(finance: Client) -> None:
    money.settle(5000)
    row = StatementRow.objects.get()
    page = finance.get("/finance/follow/", {"q": row.serial}).content.decode()
    assert "paid in by the sponsor" in page
    assert f"statement:standin:{row.serial}" in page


def test_a_row_that_two_people_gave_to_a_payout_is_seen_with_it(finance: Client) -> None:
    payout = payout_in("failed")
    gone = row(-300, named=payout.out_no)
    follow_up = clarified(payout, gone).follow_up
    assert follow_up is not None
    assert [len(leg.clarified) for leg in follow.of_payout(payout).legs] == [0, 1]
    assert [one.pk for one in finding.find(gone.serial)] == [follow_up.pk]
    for number in (gone.serial, payout.out_no, follow_up.out_no):
        page = finance.get("/finance/follow/", {"q": number}).content.decode()
        for text in (f'<span class="code">{gone.serial}</span>', "−¥3.00", WHY, follow_up.out_no):
            assert text in page, (number, text)


def test_when_several_have_the_number_one_is_chosen(finance: Client) -> None:
    money.settle(5000)
    first = StatementRow.objects.get()
    StatementRow.objects.create(
        bank="other", serial=first.serial, booked_at=first.booked_at, fen=1, counterparty="x", kind="settlement",
        bank_reference="y", entry=first.entry,
    )  # fmt: skip
    page = finance.get("/finance/follow/", {"q": first.serial}).content.decode()
    assert "Several have this number" in page
    chosen = finance.get("/finance/follow/", {"q": first.serial, "which": f"row-{first.pk}"}).content.decode()
    assert "¥5,000" not in chosen
    assert "¥50.00" in chosen


@pytest.mark.parametrize("text", ["", "x", "%00", "\0", "9" * 5000, "' OR 1=1 --", "reversed:", "0" * 20, "滚"])
def test_what_nobody_has_is_not_found(finance: Client, text: str) -> None:
    factories.paid_order(tree=factories.market(1)[0].trees.get())
    answer = finance.get("/finance/follow/", {"q": text, "which": "order-x", "vintage": "x"})
    assert answer.status_code == 200
    assert ("Nothing has this number." in answer.content.decode()) == bool(text.strip("\0"))


def test_a_page_asks_as_much_for_many_lines_as_for_one(finance: Client, bank: BankClient, later: Any) -> None:
    """However many households an order has, and however often its money came back."""

    def asked(text: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert finance.get("/finance/follow/", {"q": text}).status_code == 200
        return len(queries)

    small = sold(1)
    arrive(bank)
    payout = Payout.objects.get()
    few = [asked(small.number), asked(payout.out_no), asked(small.sinks.get().tree.number)]
    large = sold(2, 1, 1, 1)
    arrive(bank)
    many = Payout.objects.latest("pk")
    bank.control("POST", "return", {"out_no": many.out_no})
    statements.import_statement()
    factories.account(many.household)
    later(hours=73)
    arrive(bank)
    tree = large.sinks.filter(household=many.household).first()
    assert tree is not None
    assert [asked(large.number), asked(many.out_no), asked(tree.tree.number)] == few
    assert few == [31, 29, 37]


def test_the_steps_say_in_which_public_statement_they_are(finance: Client, later: Any) -> None:
    order = sold(1)
    later(days=1)
    daily.publish_missed()
    (branch,) = follow.of_order(order).branches
    assert branch.line.published is not None
    page = finance.get("/finance/follow/", {"q": order.number}).content.decode()
    assert f'href="/money/{branch.line.published}/"' in page
