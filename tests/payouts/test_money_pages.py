"""The public pages of the money: the same figures that were signed, and proofs for whoever has the order's link."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from payouts import daily
from payouts.models import Alert, DailyStatement
from payouts.runs import why_stopped
from purchases.models import Order
from tests import factories
from tests.payouts.test_audit import by_hand

pytestmark = pytest.mark.django_db

# 300 fen of an order's largest line go to its smallest one.
LINES = "FROM ledger_line WHERE entry_id = (SELECT min(id) FROM ledger_entry)"
MOVED = f"""UPDATE ledger_line SET fen = fen + CASE fen WHEN -900 THEN 300 ELSE -300 END
             WHERE fen IN (-900, -600) AND id IN (SELECT id {LINES})"""


def anyone() -> Client:
    return Client(headers={"accept-language": "en"})


@pytest.fixture
def order(later: Any) -> Order:
    """An order that was published yesterday, and another one beside it."""
    factories.market(3, 2, 1)
    made = factories.paid_order(5)
    factories.paid_order(1)
    later(days=1)
    daily.publish_missed()
    return made


def day() -> str:
    return str(DailyStatement.objects.latest("number").day)


def test_before_the_first_statement_the_page_says_when_it_comes() -> None:
    answer = anyone().get("/money/")
    assert answer.status_code == 200
    assert "The first statement appears here on the morning after the first payment." in answer.content.decode()


def test_the_page_shows_what_was_signed(order: Order) -> None:
    page = anyone().get("/money/").content.decode()
    assert page.count("¥18.00") >= 3
    assert f'href="/money/{day()}/"' in page
    page = anyone().get(f"/money/{day()}/").content.decode()
    assert "Statement number 1. The signature fits." in page
    assert DailyStatement.objects.get().root in page
    signed = anyone().get(f"/money/{day()}.json").json()
    assert signed == daily.signed(DailyStatement.objects.get())
    assert set(signed) == {"body", "signature", "key_id"}


def test_the_pages_ask_as_much_for_a_year_as_for_a_day(order: Order, later: Any) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert anyone().get("/money/").status_code == 200
        return len(queries)

    first = asked()
    later(days=40)
    assert daily.publish_missed() == 40
    assert asked() == first == 2
    page = anyone().get("/money/").content.decode()
    assert "?before=11" in page
    assert anyone().get("/money/?before=11").content.decode().count('<th scope="row"><a') == 10


@pytest.mark.parametrize(
    "address", ["/money/2020-01-01/", "/money/2020-01-01.json", "/money/x/", "/money/20261120/", "/money/2026-W47-5/"]
)
def test_there_is_no_page_of_a_day_that_was_not_published(order: Order, address: str) -> None:
    assert anyone().get(address).status_code == 404


def test_the_proof_needs_the_orders_own_link(order: Order) -> None:
    other = Order.objects.exclude(pk=order.pk).get()
    address = f"/money/{day()}/proof"
    for asked in (
        "",
        f"?order={order.number}",
        f"?token={order.token}",
        f"?order={order.number}&token={other.token}",
        f"?order={other.number}&token={order.token}",
        f"?order={order.number}&token=%00",
        "?order=%00&token=",
    ):
        assert anyone().get(address + asked).status_code == 404
    proof = anyone().get(f"{address}?order={order.number}&token={order.token}").json()
    assert sum(json.loads(text)["fen"] for _at, text in proof["leaves"]) == 1500
    assert proof["statement"] == daily.signed(DailyStatement.objects.get())


def test_the_orders_page_names_its_days(order: Order, later: Any) -> None:
    page = anyone().get(f"/money/orders/{order.token}/")
    assert page.headers["Cache-Control"].count("no-store") == 1
    said = page.content.decode()
    assert "¥15.00 were booked for 3 households." in said
    assert f"/money/{day()}/proof?order={order.number}&amp;token={order.token}" in said
    fresh = factories.paid_order(tree=factories.market(1)[0].trees.get())
    assert "in tomorrow's statement" in anyone().get(f"/money/orders/{fresh.token}/").content.decode()
    unpaid = factories.order(tree=factories.market(1)[0].trees.get())
    assert anyone().get(f"/money/orders/{unpaid.token}/").status_code == 404
    assert anyone().get("/money/orders/x/").status_code == 404


def test_no_page_names_a_household(order: Order) -> None:
    owners = [sink.tree.household for sink in order.sinks.select_related("tree__household")]
    for address in (
        "/money/",
        f"/money/{day()}/",
        f"/money/orders/{order.token}/",
        f"/money/{day()}/proof?order={order.number}&token={order.token}",
    ):
        page = anyone().get(address).content.decode()
        for owner in owners:
            assert not [one for one in (owner.public_id, owner.head_name, owner.masked_name) if one in page]


def test_proofs_are_not_asked_for_without_end(order: Order) -> None:
    cache.clear()
    codes = [anyone().get(f"/money/orders/{order.token}/").status_code for _ in range(61)]
    assert codes == [200] * 60 + [429]


def test_an_altered_statement_is_said_to_be_one(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payouts_dailystatement DISABLE TRIGGER payouts_dailystatement_fixed")
        cursor.execute("UPDATE payouts_dailystatement SET root = repeat('0', 64)")
        cursor.execute("ALTER TABLE payouts_dailystatement ENABLE TRIGGER payouts_dailystatement_fixed")
    assert "The signature does not fit." in anyone().get(f"/money/{day()}/").content.decode()


SPOILT = {
    "the ledger": MOVED,
    "a leaf": "UPDATE payouts_dailytree SET hashes = set_byte(hashes, 3, 255 - get_byte(hashes, 3))",
    "the tree": "DELETE FROM payouts_dailytree",
    "the secret": "UPDATE payouts_dailystatement SET secret = 'x'",
    "the root": "UPDATE payouts_dailystatement SET root = repeat('0', 64)",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_buyer_whose_proof_cannot_be_given_is_told_so_and_so_are_people(order: Order, spoilt: str) -> None:
    on, households = day(), [sink.tree.household for sink in order.sinks.select_related("tree__household")]
    by_hand(SPOILT[spoilt])
    for _again in range(2):
        answer = anyone().get(f"/money/{on}/proof?order={order.number}&token={order.token}")
        page = answer.content.decode()
        assert answer.status_code == 409
        assert "Our books no longer fit what we published for this day" in page
        assert not [one for one in ("ledger", "audit", *(owner.public_id for owner in households)) if one in page]
    alert = Alert.objects.get()
    assert (alert.kind, alert.about, alert.state, alert.stops) == ("books_changed", on, "open", True)
    assert order.number not in alert.text
    assert why_stopped() != ""
    for address in ("/money/", f"/money/{on}/", f"/money/{on}.json", f"/money/orders/{order.token}/"):
        assert anyone().get(address).status_code == 200


def test_a_changed_line_keeps_no_other_order_from_its_proof(order: Order) -> None:
    by_hand(MOVED)
    other = Order.objects.exclude(pk=order.pk).get()
    assert anyone().get(f"/money/{day()}/proof?order={other.number}&token={other.token}").status_code == 200
    assert anyone().get(f"/money/{day()}/proof?order={order.number}&token={other.token}").status_code == 404
    assert not Alert.objects.exists()
    assert why_stopped() == ""


def test_the_program_can_be_downloaded() -> None:
    answer = anyone().get("/money/verify_money.py")
    assert b"".join(answer.streaming_content).startswith(b"#!/usr/bin/env python3")  # type: ignore[arg-type]
    answer.close()


def test_footer_front_page_and_my_trees_lead_there(order: Order) -> None:
    assert 'href="/money/"' in anyone().get("/register/").content.decode()
    money = anyone().get(f"/my/order/{order.token}/money/").content.decode()
    assert f'href="/money/orders/{order.token}/"' in money
