"""What an owner does with a certificate through the pages: retire, hand on, divide; each shown twice, done once."""

import pytest

from carbonsink.messages.models import Message
from purchases import gifts
from purchases.models import Certificate, Order, Retirement
from tests import factories
from tests.purchases import books
from tests.purchases.buying import anybody, bought, browser_of, links_in

pytestmark = pytest.mark.django_db
EVERYTHING = {"trees": "1", "beneficiary": "x", "purpose": "x", "contact": "x@example.org", "tree": "1", "sure": "1"}
RETIRE = {"trees": "2", "beneficiary": "王五", "purpose": "our flight"}


@pytest.fixture
def order() -> Order:
    factories.market(3)
    return bought(3)


def page(order: Order, action: str) -> str:
    valid = order.certificates.get(state="valid", owner=order.buyer)
    return f"/my/order/{order.token}/certificates/{valid.token}/{action}"


def states(order: Order) -> list[tuple[str, int]]:
    return sorted(order.certificates.values_list("state", "trees"))


def test_retiring_is_asked_twice_and_done_once(order: Order) -> None:
    client, address = anybody(), page(order, "retire/")
    first = client.post(address, RETIRE)
    assert first.status_code == 200 and b"This is for ever." in first.content
    assert not Retirement.objects.exists()
    assert client.post(address, RETIRE | {"sure": "1"}).status_code == 302
    assert states(order) == [("replaced", 3), ("retired", 2), ("valid", 1)]
    said = Retirement.objects.get()
    assert (said.beneficiary, said.purpose, said.certificate.trees) == ("王五", "our flight", 2)
    assert client.post(address, RETIRE | {"sure": "1"}).status_code == 404
    assert Retirement.objects.count() == 1
    books.all_is_well()


def test_what_is_retired_is_shown_with_its_purpose_and_offers_nothing_more(order: Order) -> None:
    anybody().post(page(order, "retire/"), RETIRE | {"trees": "3", "sure": "1"})
    seen = browser_of("giver@example.org").get("/my/").content.decode()
    assert "retired for 王五: our flight" in seen and "Retire, hand on, divide" not in seen


@pytest.mark.parametrize(
    "wrong", [{"trees": "4"}, {"trees": "0"}, {"trees": "x"}, {"purpose": ""}, {"beneficiary": " "}]
)
def test_what_cannot_be_retired_is_said(order: Order, wrong: dict[str, str]) -> None:
    answer = anybody().post(page(order, "retire/"), RETIRE | {"sure": "1"} | wrong)
    assert answer.status_code == 400
    assert states(order) == [("valid", 3)]


def test_handing_on_makes_another_owner_who_is_told_and_sees_it(order: Order) -> None:
    wish = {"trees": "2", "contact": "Friend@Example.org", "holder": "友"}
    client, address = anybody(), page(order, "hand-on/")
    assert b"This is for ever." in client.post(address, wish).content
    assert states(order) == [("valid", 3)]
    assert client.post(address, wish | {"sure": "1"}).status_code == 302
    assert states(order) == [("transferred", 3), ("valid", 1), ("valid", 2)]
    message = Message.objects.get(key__startswith="handed-on:")
    made = Certificate.objects.get(owner__contact_digest__isnull=False, trees=2)
    assert (message.to, made.owner.contact, made.holder) == ("friend@example.org", "friend@example.org", "友")
    certificate_link, my_link = links_in(message)
    friend = anybody()
    assert friend.get(certificate_link).status_code == 200
    assert made.serial in friend.get(my_link, follow=True).content.decode()
    assert friend.get(f"/my/certificates/{made.token}/retire/").status_code == 200
    # The old owner keeps one tree and no power over the others; nor has the friend over the order.
    assert client.get(f"/my/order/{order.token}/certificates/{made.token}/").status_code == 404
    assert order.number not in friend.get("/my/").content.decode()
    books.all_is_well()


def test_a_certificate_that_was_handed_on_shows_its_new_owner_where_the_money_is(order: Order) -> None:
    anybody().post(page(order, "hand-on/"), {"trees": "2", "contact": "friend@example.org", "sure": "1"})
    friend = browser_of("friend@example.org")
    assert friend.get("/my/").context["proceeds"].total_fen == 600
    assert anybody().get(f"/my/order/{order.token}/").context["proceeds"].total_fen == 300


def test_a_tree_gets_a_certificate_of_its_own(order: Order) -> None:
    number = order.sinks.values_list("tree__number", flat=True)[1]
    address = page(order, "split/")
    assert anybody().post(address, {"tree": number}).status_code == 302
    assert states(order) == [("replaced", 3), ("valid", 1), ("valid", 2)]
    assert Certificate.objects.get(trees=1).sinks.get().tree.number == number
    assert anybody().post(address, {"tree": number}).status_code == 404
    books.all_is_well()


def test_trees_that_gifts_wait_for_are_neither_retired_nor_handed_on(order: Order) -> None:
    gifts.give(order, [gifts.Wish(2)], giver="")
    answer = anybody().post(page(order, "retire/"), RETIRE | {"sure": "1"})
    assert answer.status_code == 409 and b"1 are free. Withdraw gifts first." in answer.content
    wish = {"trees": "3", "contact": "friend@example.org", "sure": "1"}
    assert anybody().post(page(order, "hand-on/"), wish).status_code == 409
    assert states(order) == [("valid", 3)]
    assert not Message.objects.filter(key__startswith="handed-on:").exists()
    assert anybody().post(page(order, "retire/"), RETIRE | {"trees": "1", "sure": "1"}).status_code == 302


@pytest.mark.parametrize("action", ["", "retire/", "hand-on/", "split/"])
def test_the_public_address_of_a_certificate_gives_no_power_over_it(order: Order, action: str) -> None:
    certificate = order.certificates.get()
    other = bought_elsewhere()
    for where in ("/my/", f"/my/order/{other.token}/"):
        address = f"{where}certificates/{certificate.token}/{action}"
        answer = anybody().post(address, EVERYTHING) if action else anybody().get(address)
        assert answer.status_code == 404
    assert states(order) == [("valid", 3)]


def bought_elsewhere() -> Order:
    factories.market(1)
    return bought(1, contact="other@example.org")
