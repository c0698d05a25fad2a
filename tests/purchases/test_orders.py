"""Ordering through the page and the API: what is taken, what is refused, and that nothing is stored of the refused."""

import html
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.states import move
from purchases.models import Buyer, Order, Payment, Tariff
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from trees.models import Tree

COUNTY = "522633000000"
WISH = {"area": COUNTY, "contact": "13912345678"}
ENGLISH = {"accept-language": "en"}

QUANTITIES: list[tuple[Any, int, str, str]] = [
    (0, 400, "invalid", "quantity: Ensure this value is greater than or equal to 1."),
    (-1, 400, "invalid", "quantity: Ensure this value is greater than or equal to 1."),
    (1.5, 400, "invalid", "quantity: A valid integer is required."),
    ("abc", 400, "invalid", "quantity: A valid integer is required."),
    (None, 400, "invalid", "quantity: This field may not be null."),
    (10**9, 409, "sold_out", "Only 3 trees are left here. Choose fewer, or a larger area."),
    (10**9 + 1, 400, "invalid", "quantity: Ensure this value is less than or equal to 1000000000."),
    (10**30, 400, "invalid", "quantity: Ensure this value is less than or equal to 1000000000."),
    (4, 409, "sold_out", "Only 3 trees are left here. Choose fewer, or a larger area."),
]


def nothing_is_stored() -> None:
    assert not Order.objects.exists()
    assert not Buyer.objects.exists()
    assert not Payment.objects.exists()
    assert books.stock()[1] == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("quantity", "status", "code", "message"), QUANTITIES)
def test_the_api_refuses_a_wrong_quantity(quantity: Any, status: int, code: str, message: str) -> None:
    factories.market(2, 1)
    answer = books.post_order("the-first-key", **WISH, quantity=quantity)
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (status, code, message)
    assert answer.json().get("left") == (3 if code == "sold_out" else None)
    nothing_is_stored()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("quantity", "status", "sentence"),
    [
        ("0", 400, "Choose at least one tree."),
        ("-1", 400, "Choose at least one tree."),
        ("1.5", 400, "Enter a whole number of trees, such as 10."),
        ("abc", 400, "Enter a whole number of trees, such as 10."),
        ("", 400, "Enter how many trees, such as 10."),
        (str(10**9), 409, "Only 3 trees are left here. Choose fewer, or a larger area."),
        ("4", 409, "Only 3 trees are left here. Choose fewer, or a larger area."),
    ],
)
def test_the_page_refuses_a_wrong_quantity(quantity: str, status: int, sentence: str) -> None:
    factories.market(2, 1)
    form = {"form_token": str(uuid.uuid4()), "quantity": quantity, "contact": "a@example.org", "holder": ""}
    answer = Client(headers=ENGLISH).post(reverse("purchases:area", args=[COUNTY]), form)
    assert answer.status_code == status
    assert sentence in html.unescape(answer.content.decode())
    nothing_is_stored()


@pytest.mark.django_db
def test_more_than_one_order_may_have_is_said_when_there_are_as_many(settings: Any) -> None:
    settings.ORDER_MAX_TREES = 2
    factories.market(3)
    answer = books.post_order("the-first-key", **WISH, quantity=3)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_quantity")
    assert answer.json()["message"] == "One order can have at most 2 trees. Place several orders."
    nothing_is_stored()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"contact": None}, "invalid"),
        ({"contact": ""}, "invalid"),
        ({"contact": "   "}, "invalid"),
        ({"contact": "12345"}, "bad_contact"),
        ({"contact": "not an address"}, "bad_contact"),
        ({"contact": "a" * 255}, "invalid"),
        ({"contact": "a\x00@example.org"}, "invalid"),
        ({"holder": "滚" * 81}, "invalid"),
        ({"holder": "\x00"}, "invalid"),
        ({"holder": "\ud800"}, "invalid"),
        ({"holder": ["a"]}, "invalid"),
        ({"area": None}, "invalid"),
        ({"tree": "1" * 20}, "invalid"),
    ],
)
def test_the_api_refuses_what_cannot_be_a_contact_or_name(body: dict[str, Any], code: str) -> None:
    factories.market(1)
    answer = books.post_order("the-first-key", **(WISH | body))
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.content
    nothing_is_stored()


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{}, {**WISH, "tree": "5226331022020010015"}])
def test_an_order_needs_one_choice(body: dict[str, Any]) -> None:
    (owner,) = factories.market(1)
    if "tree" in body:
        body = {**body, "tree": owner.trees.get().number}
    answer = books.post_order("the-first-key", **body)
    assert answer.status_code == 400
    nothing_is_stored()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"7", b"{", b"[" * 100_000, b'{"area": {"a": 1}, "contact": "13912345678"}']
)
def test_a_body_that_is_no_order_is_a_400(body: bytes) -> None:
    factories.market(1)
    client = Client(headers={"idempotency-key": "the-first-key"})
    answer = client.post("/api/v1/orders", body, content_type="application/json")
    assert answer.status_code == 400
    nothing_is_stored()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("\u202e\u202dEvil\u200b \x07\x1b[31m Ltd\u2066", "Evil [31m Ltd"),
        ("  从江\u3000县\u2028农户\u0085 ", "从江 县 农户"),
        ("\x9bA\u061cB\u00ad\u2060\ufeffC", "A B C"),
        ("滚" * 80, "滚" * 80),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("\u202e", ""),
    ],
)
def test_the_name_on_the_certificate_has_nothing_unseen(sent: str, kept: str) -> None:
    factories.market(1)
    answer = books.post_order("the-first-key", **WISH, holder=sent)
    assert answer.status_code == 201, answer.content
    assert Order.objects.get().holder == kept
    factories.capture(factories.payment(Order.objects.get()))
    page = Client().get(reverse("purchases:certificate", args=[Order.objects.get().certificate.token])).content.decode()  # type: ignore[union-attr]
    assert "\u202e" not in page
    assert "<b>&amp;</b>" not in page


@pytest.mark.django_db
def test_unknown_places_and_trees_are_404() -> None:
    (owner,) = factories.market(1)
    number = owner.trees.get().number
    wrong_digit = number[:-1] + str((int(number[-1]) + 1) % 10)
    client = Client()
    for path in (
        "/areas/999999999999/", "/areas/%00/", "/areas/x'--/", f"/trees/{wrong_digit}/", "/trees/%00/", "/orders/nope/",
        "/orders/%00/", "/orders/nope/qr.png", "/c/nope/", "/c/%00/", "/c/nope/qr.png", "/api/v1/areas/1",
        "/api/v1/orders/nope",
    ):  # fmt: skip
        assert client.get(path).status_code == 404, path
    assert client.post("/api/v1/orders/nope/payment").status_code == 404
    assert books.post_order("the-first-key", area="999999999999", contact="13912345678").status_code == 404
    assert books.post_order("the-first-key", tree=wrong_digit, contact="13912345678").status_code == 404
    nothing_is_stored()


@pytest.mark.django_db
def test_a_tree_that_waits_for_review_is_not_for_sale() -> None:
    factories.market(1)
    tree = factories.tree()
    assert Client().get(reverse("purchases:tree", args=[tree.number])).status_code == 404
    answer = books.post_order("the-first-key", tree=tree.number, contact="13912345678")
    assert (answer.status_code, answer.json()["code"]) == (409, "sold_out")
    nothing_is_stored()


@pytest.mark.django_db
def test_a_sold_or_suspended_tree_is_not_for_sale() -> None:
    (owner,) = factories.market(2)
    sold, suspended = owner.trees.order_by("pk")
    factories.paid_order(tree=sold)
    move(suspended, Tree.State.SUSPENDED)
    for number, tree in enumerate((sold, suspended)):
        page = Client(headers=ENGLISH).get(reverse("purchases:tree", args=[tree.number]))
        assert page.status_code == 200
        assert "Buy this tree" not in page.content.decode()
        answer = books.post_order(f"the-key-{number}", tree=tree.number, contact="13912345678")
        assert (answer.status_code, answer.json()["message"]) == (
            409, "This tree is sold or not for sale. Choose another one.",
        )  # fmt: skip
    answer = books.post_order("the-last-key", **WISH)
    assert (answer.status_code, answer.json()["message"]) == (409, "All trees here are sold. Choose another place.")
    assert Order.objects.count() == 1
    assert books.stock() == (1, 1)
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("why", ["closed", "not yet", "not opened", "no tariff"])
def test_nothing_is_sold_when_no_vintage_is_on_sale(why: str) -> None:
    (owner,) = factories.market(1)
    now = timezone.now()
    if why == "closed":
        Tariff.objects.update(closes_at=now)
    elif why == "not yet":
        Tariff.objects.update(opens_at=now + timedelta(minutes=1))
    elif why == "not opened":
        Tariff.objects.update(closes_at=now)
        Tariff.objects.create(vintage=2100, opens_at=now - timedelta(days=1), closes_at=now + timedelta(days=1))
    else:
        Tariff.objects.all().delete()
    for number, wish in enumerate([WISH, {"tree": owner.trees.get().number, "contact": "13912345678"}]):
        answer = books.post_order(f"the-key-{number}", **wish)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_on_sale")
    for path in ("/", f"/areas/{COUNTY}/", f"/trees/{owner.trees.get().number}/", f"/api/v1/areas/{COUNTY}"):
        assert Client().get(path).status_code == 200
    nothing_is_stored()


@pytest.mark.django_db
def test_what_the_client_says_of_price_and_state_is_not_read() -> None:
    factories.market(2)
    answer = books.post_order(
        "the-first-key", **WISH, quantity=2, price_fen=1, total_fen=1, total=1, kg=9, state="paid", vintage=1999,
        number="X", token="X", expires_at="2999-01-01T00:00:00Z", paid_at="2020-01-01T00:00:00Z",
    )  # fmt: skip
    assert answer.status_code == 201
    order = Order.objects.get()
    assert (order.price_fen, order.total_fen, order.kg, order.state) == (300, 600, 10, "held")
    assert order.vintage == timezone.localdate().year
    assert order.paid_at is None
    assert order.expires_at < timezone.now() + timedelta(minutes=16)
    shown = answer.json()
    assert (shown["total_fen"], shown["kg_total"], shown["state"], shown["certificate"]) == (600, 20, "held", None)
    assert Order.objects.get().total_fen == 600


@pytest.mark.django_db
def test_a_key_gives_the_same_order_again_and_another_wish_a_422() -> None:
    factories.market(3)
    first = books.post_order("the-first-key", **WISH, quantity=2)
    again = books.post_order("the-first-key", **WISH, quantity=2)
    # The same buyer, written in another way.
    spaced = books.post_order("the-first-key", area=COUNTY, contact=" 139-1234 5678 ", quantity=2)
    assert [answer.status_code for answer in (first, again, spaced)] == [201, 201, 201]
    assert first.json() == again.json() == spaced.json()
    for other in ({"quantity": 1}, {"quantity": 2, "holder": "x"}, {"quantity": 2, "area": factories.VILLAGE}):
        answer = books.post_order("the-first-key", **(WISH | other))
        assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert Order.objects.count() == 1
    assert books.stock() == (3, 2)


@pytest.mark.django_db
def test_a_repeated_order_is_found_even_when_all_is_sold_or_the_sale_is_over() -> None:
    factories.market(1)
    first = books.post_order("the-first-key", **WISH)
    Tariff.objects.update(closes_at=timezone.now())
    assert books.post_order("the-first-key", **WISH).json() == first.json()


@pytest.mark.django_db
def test_two_buyers_may_use_the_same_key() -> None:
    factories.market(2)
    one = books.post_order("the-first-key", area=COUNTY, contact="one@example.org")
    two = books.post_order("the-first-key", area=COUNTY, contact="two@example.org")
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json()["number"] != two.json()["number"]
    assert books.stock() == (2, 2)


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "1234567", "x" * 201])
def test_an_order_without_a_proper_key_is_refused(key: str) -> None:
    factories.market(1)
    answer = books.post_order(key, **WISH)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_key")
    nothing_is_stored()


@pytest.mark.django_db(transaction=True)
def test_the_same_order_sent_20_times_at_once_is_one_order() -> None:
    factories.market(5)
    answers = at_once(*[lambda: books.post_order("the-first-key", **WISH, quantity=2)] * 20)
    assert [answer.status_code for answer in answers] == [201] * 20
    assert len({answer.json()["number"] for answer in answers}) == 1
    assert (Order.objects.count(), Buyer.objects.count()) == (1, 1)
    assert books.stock() == (5, 2)
    books.all_is_well()


@pytest.mark.django_db
def test_the_form_sent_twice_is_one_order() -> None:
    factories.market(2)
    client, path = Client(), reverse("purchases:area", args=[COUNTY])
    form = {"form_token": str(uuid.uuid4()), "quantity": "1", "contact": "a@example.org", "holder": ""}
    first, again = client.post(path, form), client.post(path, form)
    assert (first.status_code, again.status_code) == (302, 302)
    assert first["Location"] == again["Location"] == reverse("purchases:order", args=[Order.objects.get().token])


@pytest.mark.django_db
@pytest.mark.parametrize("cap", ["UNPAID_SINKS_PER_BUYER", "UNPAID_SINKS_PER_ADDRESS", "UNPAID_SINKS_IN_ALL"])
def test_unpaid_sinks_are_capped(cap: str, settings: Any) -> None:
    factories.market(6)
    setattr(settings, cap, 3)
    # The same buyer under two spellings; another buyer matters for the address and in all.
    other = {"contact": "139 1234-5678"} if cap.endswith("BUYER") else {"contact": "b@example.org"}
    assert books.post_order("the-first-key", **WISH, quantity=2).status_code == 201
    refused = books.post_order("the-other-key", **(WISH | other), quantity=2)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_unpaid")
    assert books.stock() == (6, 2)
    assert books.post_order("the-other-key", **(WISH | other), quantity=1).status_code == 201
    # Paid ones do not count.
    for order in Order.objects.all():
        factories.capture(factories.payment(order))
    assert books.post_order("a-third-key", **(WISH | other), quantity=3).status_code == 201
    assert books.stock() == (6, 6)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cap", ["UNPAID_SINKS_PER_BUYER", "UNPAID_SINKS_PER_ADDRESS"])
def test_orders_at_the_same_moment_do_not_slip_past_a_cap(cap: str, settings: Any) -> None:
    factories.market(8)
    setattr(settings, cap, 3)

    def buy(number: int) -> Any:
        if cap.endswith("BUYER"):
            return books.post_order(f"the-key-{number}", f"192.0.2.{number}", **WISH)
        return books.post_order(f"the-key-{number}", area=COUNTY, contact=f"b{number}@example.org")

    answers = at_once(*[lambda number=number: buy(number) for number in range(8)])
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 5
    assert books.stock() == (8, 3)
    books.all_is_well()


@pytest.mark.django_db
def test_addresses_are_kept_as_digests_only() -> None:
    factories.market(1)
    assert books.post_order("the-first-key", **WISH).status_code == 201
    row = str(Order.objects.values().get()) + str(Order.objects.get().__dict__)
    assert "127.0.0.1" not in row
    assert "13912345678" not in row


@pytest.mark.django_db
def test_a_captured_payment_without_its_amount_is_refused_by_the_database() -> None:
    factories.market(1)
    payment = factories.paid_order().payments.get()
    with pytest.raises(IntegrityError, match="captured_is_known"), transaction.atomic():
        type(payment).objects.update(captured_fen=None)
