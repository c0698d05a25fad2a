"""Gifts: promised once, taken once, opened on their day, and never more than there is."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from carbonsink.errors import DomainError
from carbonsink.messages.models import Message
from carbonsink.messages.tasks import send_messages
from carbonsink.states import move
from purchases import gifts
from purchases.givebacks import give_back
from purchases.models import Buyer, Certificate, Gift, Order
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.buying import anybody, bought, links_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    factories.market(4)
    return bought(4)


def give(order: Order, **wish: Any) -> Any:
    return anybody().post(f"/orders/{order.token}/gifts/new/", {"trees": "1", **wish})


def one_gift(order: Order, **wish: Any) -> Gift:
    assert give(order, **wish).status_code == 302
    return order.gifts.latest("pk")


def take(gift: Gift, **form: str) -> Any:
    return anybody().post(f"/g/{gift.code}/", form)


def test_a_gift_is_made_found_by_its_typed_code_and_taken(order: Order) -> None:
    gift = one_gift(order, trees="3", giver="李四", recipient="小明", message="生日快乐")
    client = anybody()
    typed = gifts.grouped(gift.code).lower().replace("-", " ")
    assert client.post("/g/", {"code": typed}).url == f"/g/{gift.code}/"
    page = client.get(f"/g/{gift.code}/").content.decode()
    assert all(word in page for word in ("李四", "小明", "生日快乐", "登岜村"))
    answer = take(gift, holder="小明", contact="xiaoming@example.org")
    gift.refresh_from_db()
    made = gift.certificate
    assert made is not None and answer.url == f"/c/{made.token}/"
    assert (gift.state, made.trees, made.holder, made.owner.contact) == ("taken", 3, "小明", "xiaoming@example.org")
    assert sorted(order.certificates.values_list("state", "trees")) == [("transferred", 4), ("valid", 1), ("valid", 3)]
    assert links_in(Message.objects.get(key=f"handed-on:{made.pk}"))[0] == f"/c/{made.token}/"
    books.all_is_well()


TOKENS = re.compile(r'name="form_token" value="([0-9a-f-]{36})"')


@pytest.mark.parametrize(
    ("page", "form", "made"),
    [
        ("new", {"trees": "1", "recipient": "小明", "contact": "xiaoming@example.org"}, 1),
        ("codes", {"trees": "1", "codes": "2", "message": "谢谢"}, 2),
    ],
)
def test_a_form_sent_twice_makes_its_gifts_once(order: Order, page: str, form: dict[str, str], made: int) -> None:
    address = f"/orders/{order.token}/gifts/{page}/"
    (token,) = TOKENS.findall(anybody().get(address).content.decode())
    for _ in range(2):
        assert anybody().post(address, {**form, "form_token": token}).status_code == 302
    assert order.gifts.count() == made
    assert Message.objects.filter(key__startswith="gift:").count() == ("contact" in form)
    other = anybody().post(address, {**form, "form_token": token, "message": "other"})
    assert other.status_code == 409
    assert "open it anew" in other.content.decode()
    assert order.gifts.count() == made
    (anew,) = TOKENS.findall(anybody().get(address).content.decode())
    assert anew != token
    assert anybody().post(address, {**form, "form_token": anew}).status_code == 302
    assert order.gifts.count() == 2 * made
    assert anybody().post(address, {**form, "form_token": "x"}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_by_many_at_once_makes_its_gift_once(order: Order) -> None:
    token = str(uuid.uuid4())
    answers = at_once(*[lambda: give(order, form_token=token).status_code] * 5)
    assert answers == [302] * 5
    assert order.gifts.count() == 1


def test_a_gift_without_a_contact_is_mailed_to_nobody_and_may_be_taken_without_one(order: Order) -> None:
    gift = one_gift(order, recipient="小明")
    assert take(gift).status_code == 302
    assert take(gift).status_code == 409
    made = Certificate.objects.get(gift=gift)
    assert (made.holder, made.owner.contact, made.owner.contact_digest) == ("", "", None)
    assert set(Message.objects.values_list("key", flat=True)) == {f"paid:{order.pk}"}


def test_two_people_without_a_contact_do_not_see_each_others_gifts(order: Order) -> None:
    first, second = one_gift(order), one_gift(order)
    take(first), take(second)
    owners = {Certificate.objects.get(gift=gift).owner_id for gift in (first, second)}
    assert len(owners) == 2


def test_a_gift_is_sent_on_its_day_and_not_before_it_opens(order: Order, later: Any) -> None:
    day = timezone.localdate() + timedelta(days=10)
    gift = one_gift(order, opens_on=day.isoformat(), contact="friend@example.org", message="<3 & more")
    send_messages()
    mail.outbox.clear()
    page = anybody().get(f"/g/{gift.code}/").content.decode()
    assert "Opens on" in page and "Take the gift" not in page
    assert take(gift).status_code == 409
    later(days=9)
    send_messages()
    assert mail.outbox == []
    later(days=1, hours=9)
    send_messages()
    (sent,) = mail.outbox
    assert sent.to == ["friend@example.org"] and "<3 & more" in sent.body
    assert take(gift).status_code == 302


def test_never_more_than_there_is(order: Order) -> None:
    one_gift(order, trees="3")
    answer = give(order, trees="2")
    assert answer.status_code == 409
    assert b"These gifts need 2 trees, but only 1 of your order are free." in answer.content
    assert [gift.trees for gift in order.gifts.all()] == [3]
    one_gift(order, trees="1")
    assert give(order, trees="1").status_code == 409
    assert gifts.unpromised(order) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"trees": "0"}, {"trees": "-1"}, {"contact": "no contact"}, {"message": "x" * 201}, {"recipient": "x" * 81},
     {"opens_on": "2001-01-01"}, {"opens_on": "2999-01-01"}, {"opens_on": "soon"}],
)  # fmt: skip
def test_what_is_no_gift_is_said_and_not_stored(order: Order, wrong: dict[str, str]) -> None:
    assert give(order, **wrong).status_code == 400
    assert not Gift.objects.exists()


def test_a_withdrawn_gift_frees_its_trees_and_its_message_is_never_sent(order: Order) -> None:
    gift = one_gift(order, trees="4", contact="friend@example.org")
    assert anybody().post(f"/orders/{order.token}/gifts/{gift.pk}/withdraw/").status_code == 302
    send_messages()
    assert "friend@example.org" not in [to for message in mail.outbox for to in message.to]
    assert gifts.unpromised(order) == 4
    assert take(gift).status_code == 409
    assert b"This gift was withdrawn." in anybody().get(f"/g/{gift.code}/").content


def test_a_taken_gift_cannot_be_withdrawn_nor_one_of_another_order(order: Order) -> None:
    gift = one_gift(order)
    factories.market(1)
    other = bought(1, contact="other@example.org")
    assert anybody().post(f"/orders/{other.token}/gifts/{gift.pk}/withdraw/").status_code == 404
    assert anybody().get(f"/orders/{other.token}/gifts/{gift.pk}/card.pdf").status_code == 404
    take(gift)
    assert anybody().post(f"/orders/{order.token}/gifts/{gift.pk}/withdraw/").status_code == 409
    gift.refresh_from_db()
    assert gift.state == "taken"


def test_wrong_codes_are_counted_for_each_address(order: Order) -> None:
    gift = one_gift(order)
    answers = [anybody(REMOTE_ADDR="10.9.9.9").get(f"/g/{'A' * 15}{n}/").status_code for n in "23456789ABCDEFGHJKMNP"]
    assert answers == [404] * 20 + [429]
    assert anybody(REMOTE_ADDR="10.9.9.8").get(f"/g/{'A' * 16}/").status_code == 404
    assert anybody(REMOTE_ADDR="10.9.9.9").get(f"/g/{gift.code}/").status_code == 200


@pytest.mark.parametrize("address", ["/g/", "/g/{code}/", "/orders/{token}/gifts/"])
def test_pages_of_codes_are_kept_by_nobody(order: Order, address: str) -> None:
    gift = one_gift(order)
    answer = anybody().get(address.format(code=gift.code, token=order.token))
    assert "no-store" in answer.headers["Cache-Control"] and b"noindex" in answer.content


def test_a_refund_cancels_the_newest_gifts_beyond_what_is_left(order: Order) -> None:
    kept, gone, gone_too = (one_gift(order, contact=f"f{n}@example.org") for n in range(3))
    give_back(order, 3, by=None, reason="changed my mind")
    assert [Gift.objects.get(pk=gift.pk).state for gift in (kept, gone, gone_too)] == [
        "waiting",
        "cancelled",
        "cancelled",
    ]
    states = dict(Message.objects.filter(key__startswith="gift:").values_list("key", "state"))
    assert states == {f"gift:{kept.pk}": "waiting", f"gift:{gone.pk}": "withdrawn", f"gift:{gone_too.pk}": "withdrawn"}
    give_back(order, 1, by=None, reason="changed my mind")
    assert Gift.objects.get(pk=kept.pk).state == "cancelled"
    books.all_is_well()


def test_a_gift_whose_trees_are_gone_says_so(order: Order) -> None:
    gift = one_gift(order, trees="2")
    certificate = order.certificates.get()
    move(certificate, Certificate.State.REVOKED, reason="test")
    answer = take(gift)
    assert answer.status_code == 409 and b"are not there any more" in answer.content
    gift.refresh_from_db()
    assert gift.state == "waiting"


@pytest.mark.django_db(transaction=True)
def test_of_two_takers_at_once_one_has_it() -> None:
    factories.market(3)
    gift = one_gift(bought(3), trees="2")
    answers = at_once(*(lambda: take(gift).status_code for _ in range(4)))
    assert sorted(answers) == [302, 409, 409, 409]
    assert sorted(Certificate.objects.values_list("state", "trees")) == [("transferred", 3), ("valid", 1), ("valid", 2)]
    assert Buyer.objects.count() == 2
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_givers_at_once_never_promise_more_than_there_is() -> None:
    factories.market(3)
    order = bought(3)
    answers = at_once(*(lambda: give(order, trees="2").status_code for _ in range(4)))
    assert sorted(answers) == [302, 409, 409, 409]
    assert gifts.promised(order) == 2
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_taker_and_whoever_withdraws_do_not_both_win() -> None:
    factories.market(2)
    gift = one_gift(bought(2))

    def withdraw() -> int:
        return int(anybody().post(f"/orders/{gift.order.token}/gifts/{gift.pk}/withdraw/").status_code)

    answers = at_once(lambda: take(gift).status_code, withdraw)
    assert sorted(answers) == [302, 409]
    gift.refresh_from_db()
    assert gift.state == ("taken" if answers[0] == 302 else "cancelled")
    assert Certificate.objects.filter(gift=gift).exists() == (answers[0] == 302)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_taker_and_a_refund_do_not_both_win() -> None:
    factories.market(2)
    order = bought(2)
    gift = one_gift(order, trees="2")

    def refund() -> int:
        try:
            give_back(order, 2, by=None, reason="changed my mind")
        except DomainError as error:
            assert error.code == "not_yours_any_more"
            return 0
        return 1

    taken, refunded = at_once(lambda: take(gift).status_code, refund)
    gift.refresh_from_db()
    assert (taken, refunded, gift.state) in [(302, 0, "taken"), (409, 1, "cancelled")]


def test_one_tree_sends_no_end_of_messages(order: Order) -> None:
    """Given to somebody, withdrawn, given to somebody else, and so on."""
    sent = 0
    for turn in range(30):
        if give(order, contact=f"stranger{turn}@example.org").status_code != 302:
            break
        sent += 1
        anybody().post(f"/orders/{order.token}/gifts/{order.gifts.latest('pk').pk}/withdraw/")
    assert sent == order.quantity + gifts.WITHDRAWN_BEYOND + 1
    refused = give(order, contact="another@example.org")
    assert refused.status_code == 429
    assert Message.objects.filter(key__startswith="gift:").count() == sent
    one_gift(order)  # Its link is passed on by the giver.
    books.all_is_well()
