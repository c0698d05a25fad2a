"""What the order page says in each state, and what it does about it."""

import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carbonsink.states import move
from purchases import orders
from purchases.models import Campaign, Order, Refund
from tests import factories
from tests.purchases import books, order_world, paper
from tests.purchases.paper import DESKTOP, PHONE, Paper
from tests.purchases.test_ways import address, browser

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def gateways(monkeypatch: pytest.MonkeyPatch, settings: Any) -> type[Paper]:
    settings.TRANSFER_ACCOUNT_NUMBER, settings.TRANSFER_ACCOUNT_HOLDER = "6222 0000 1234", "单株碳汇专户"
    settings.TRANSFER_BANK_NAME = "贵州银行从江支行"
    return paper.lay_out(monkeypatch, settings)


def page(order: Order, more: str = "", agent: str = DESKTOP) -> str:
    answer = browser(agent).get(address(order) + more)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def looks_again_every(text: str) -> str:
    return text.partition('hx-trigger="every ')[2].partition('"')[0]


def test_a_held_order_shows_its_clock_also_without_scripts() -> None:
    factories.market(2)
    text = page(order_world.fresh())
    assert "15 minutes, until " in text
    assert "¥6.00" in text
    assert "2 trees in 从江县" in text
    assert "How do you want to pay?" in text


@pytest.mark.parametrize(
    ("product", "gateway", "says", "leads_to"),
    [
        ("native", "wechatpay", "Scan this code with WeChat.", "order-qr"),
        ("page", "alipay", "When you have paid there, this page goes on by itself.", "order-leave"),
        ("h5", "wechatpay", "When you have paid there, this page goes on by itself.", "order-leave"),
        ("jsapi", "wechatpay", "Go on in WeChat", "order-wechat"),
    ],
)
def test_a_chosen_way_is_shown_with_the_others_beside_it(product: str, gateway: str, says: str, leads_to: str) -> None:
    factories.market(2)
    order = order_world.opened(product, gateway)
    text = page(order, agent=PHONE)
    assert says in text
    assert address(order, leads_to) in text
    assert "Other ways of paying" in text
    assert f'value="{gateway}.{product}"' not in text
    assert looks_again_every(text) == "2s"


def test_a_transfer_is_told_exactly_what_to_write_and_until_when() -> None:
    factories.market(2)
    order = order_world.by_transfer()
    text = page(order)
    number = order.number
    assert f"{number[:4]} {number[4:8]} {number[8:]}" in text
    assert f'data-copy="{number}"' in text
    for told in ("6222 0000 1234", "单株碳汇专户", "贵州银行从江支行", "贵州青山有限公司", "¥6.00"):
        assert told in text
    assert "The money must have arrived by then." in text
    assert "a person must look first" in text
    assert timezone.localtime(order.expires_at).strftime("%H:%M") in text
    assert "order-pay" not in text
    assert address(order, "order-pay") not in text
    # Nothing can be opened for it online.
    answer = browser().post(address(order, "order-pay"), {"way": "wechatpay.native"}, follow=True)
    assert "This order is paid by bank transfer." in answer.content.decode()
    assert not order.payments.exists()


@pytest.mark.parametrize(
    ("seconds", "says", "every"),
    [
        (0, "Waiting for the payment service", "2s"),
        (9, "Waiting for the payment service", "2s"),
        (10, "We have not heard of your payment yet", "4s"),
        (59, "We have not heard of your payment yet", "4s"),
        (60, "The payment service is late", "10s"),
        (600, "The payment service is late", "10s"),
    ],
)
def test_who_comes_back_is_told_honestly_how_it_stands(
    gateways: type[Paper], seconds: int, says: str, every: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.market(2)
    order = order_world.opened("h5")
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    since = int(now.timestamp()) - seconds
    text = page(order, f"?back=1&since={since}", PHONE)
    assert says in text
    assert looks_again_every(text) == every
    assert f"?back=1&since={since}" in text
    assert ("Ask the payment service now" in text) == (seconds >= 60)
    assert "Scan this code" not in text
    # Coming back, however often, changes nothing and asks nobody.
    assert (gateways.asked, gateways.queried) == ([], [])
    order.refresh_from_db()
    assert order.state == "held"


@pytest.mark.parametrize("since", ["", "x", "-5", "9" * 11, "9" * 40, "1e3", "٣"])
def test_a_senseless_time_of_coming_back_does_no_harm(since: str) -> None:
    factories.market(2)
    assert browser().get(address(order_world.opened("h5")), {"back": "1", "since": since}).status_code == 200


@pytest.mark.parametrize("said", ["captured", "pending", "closed"])
def test_asking_now_books_what_the_gateway_says(gateways: type[Paper], said: str) -> None:
    factories.market(1)
    order = order_world.opened("h5", quantity=1)
    gateways.said = said
    answer = browser().post(address(order, "order-ask"), {"since": "1700000000"})
    assert (answer.status_code, answer["Location"]) == (303, f"{address(order)}?back=1&since=1700000000")
    order.refresh_from_db()
    payment = order.payments.get()
    assert gateways.queried == [payment.reference]
    state, kept = {"captured": ("paid", "captured"), "pending": ("held", "created"), "closed": ("held", "closed")}[said]
    assert (order.state, payment.state) == (state, kept)
    if said == "closed":
        assert "The last payment came to nothing" in page(order)
        assert 'value="wechatpay.native"' in page(order)
    books.all_is_well()


def test_asking_is_limited_and_a_silent_gateway_is_said(gateways: type[Paper]) -> None:
    factories.market(2)
    order, client = order_world.opened("h5"), browser()
    gateways.silent = True
    first = client.post(address(order, "order-ask"), follow=True).content.decode()
    assert "The payment service does not answer." in first
    again = client.post(address(order, "order-ask"), follow=True).content.decode()
    assert "We asked a moment ago." in again
    assert len(gateways.queried) == 1
    cache.clear()  # Five seconds later.
    gateways.silent = False
    assert "has not seen a payment yet" in client.post(address(order, "order-ask"), follow=True).content.decode()
    assert len(gateways.queried) == 2


def test_a_large_order_shows_how_far_it_has_come() -> None:
    factories.market(1)
    text = page(order_world.large("allocating", allocated=7_500))
    assert '<progress max="20000" value="7500"' in text
    assert "7,500 of 20,000 trees" in text
    assert looks_again_every(text) == "2s"


def test_a_short_order_says_how_many_are_left_and_leads_there() -> None:
    factories.market(3)
    text = page(order_world.large("short"))
    assert "You wished for 20,000 trees." in text
    assert "3 are left." in text
    assert f"{reverse('purchases:area', args=['522633000000'])}?trees=3" in text
    assert looks_again_every(text) == ""


def test_giving_an_order_up_frees_its_trees_at_once_and_twice_is_once() -> None:
    factories.market(2)
    order, client = order_world.opened(), browser()
    assert books.stock() == (2, 2)
    for _ in range(2):
        answer = client.post(address(order, "order-cancel"), follow=True)
        assert "This order was cancelled" in answer.content.decode()
    assert books.stock() == (2, 0)
    text = page(order)
    assert "Should a payment still arrive, all of it goes back to you." in text
    assert looks_again_every(text) == "10s"
    assert order.history().filter(to_state="cancelled").count() == 1
    books.all_is_well()


def test_a_paid_order_cannot_be_given_up() -> None:
    factories.market(2)
    order = factories.paid_order(2)
    assert "has changed meanwhile" in browser().post(address(order, "order-cancel"), follow=True).content.decode()
    order.refresh_from_db()
    assert order.state == "paid"
    assert books.stock() == (2, 2)
    books.all_is_well()


def test_a_payment_that_is_open_when_the_time_ends_is_waited_for(later: Callable[..., None]) -> None:
    factories.market(2)
    order = order_world.expired(later)
    text = page(order)
    assert "The time for paying is over" in text
    assert "do not pay again" in text
    assert looks_again_every(text) == "10s"
    factories.capture(order.payments.get())
    assert "Thank you. It is paid." in page(order)
    books.all_is_well()


def test_another_amount_is_told_until_it_went_back() -> None:
    factories.market(2)
    text = page(order_world.odd())
    assert "¥2.00 arrived, but the order costs ¥6.00. The order is not paid by it." in text
    assert "Somebody of the office looks at it" in text
    assert "Thank you" not in text


@pytest.mark.parametrize("taken", [False, True])
def test_a_late_payment_ends_well_or_goes_back(later: Callable[..., None], taken: bool) -> None:
    text = page(order_world.late(later, taken=taken))
    assert ("Thank you. It is paid." in text, "is on its way back to you." in text) == (not taken, taken)
    if taken:
        assert "The payment came after the order had expired, and the trees were gone." in text
        assert looks_again_every(text) == "10s"
    books.all_is_well()


def test_a_second_payment_is_told_with_its_refund_and_how_that_stands() -> None:
    factories.market(2)
    order = order_world.paid_twice()
    refund = Refund.objects.get()
    assert "The order was paid twice." in page(order)
    move(refund, Refund.State.SENDING)
    move(refund, Refund.State.FAILED)
    assert "could not be sent back yet. Somebody of the office takes care of it." in page(order)
    move(refund, Refund.State.SENDING)
    move(refund, Refund.State.SUCCEEDED)
    assert "went back to you." in page(order)
    assert "给我们班" in page(order)


def test_a_gift_is_remembered_until_it_is_paid() -> None:
    factories.market(2)
    client = browser()
    form = {"form_token": "0b2d7a52-4a3c-4a8e-9c7c-0a4f1f2a9d11", "quantity": "1", "contact": "a@example.org"}
    client.post(reverse("purchases:area", args=["522633000000"]), form | {"is_gift": "on"})
    order = Order.objects.get()
    assert client.session["gifts"] == [order.token]
    factories.capture(factories.payment(order))
    answer = client.get(address(order))
    assert answer.context["is_gift"] is True
    assert browser().get(address(order)).context["is_gift"] is False


def test_trees_can_be_given_back_only_while_that_may_be(later: Callable[..., None], settings: Any) -> None:
    factories.market(2)
    order, client = factories.paid_order(2), Client(headers={"accept-language": "en"})
    assert address(order, "give-back") in page(order)
    text = client.get(address(order, "give-back")).content.decode()
    assert "2 trees are yours." in text
    assert 'name="trees" value="2"' in text
    refused = client.post(address(order, "give-back"), {"trees": "0"})
    assert refused.status_code == 400
    assert "Choose at least one tree." in refused.content.decode()
    assert "Tick that you know this." in refused.content.decode()
    later(days=settings.REFUND_DAYS + 1)
    assert "That time is over." in client.get(address(order, "give-back")).content.decode()
    assert not Refund.objects.exists()
    books.all_is_well()


def test_the_clock_of_an_order_about_to_end_says_at_least_a_minute(later: Callable[..., None]) -> None:
    factories.market(2)
    order = order_world.fresh()
    later(minutes=14, seconds=50)
    assert "1 minute, until " in page(order)
    assert order.expires_at - timezone.now() < timedelta(seconds=11)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("household", "2 trees of 石*妹 in 登岜村"),
        ("species", "Chinese fir"),
        ("anywhere", "2 trees of the households that have sold least"),
        ("campaign", "Trees for the school"),
    ],
)
def test_what_was_chosen_is_told_for_each_choice(choice: str, says: str) -> None:
    (owner,) = factories.market(2)
    order = order_world.fresh()
    species = owner.trees.earliest("pk").species
    today = timezone.localdate()
    campaign = Campaign(slug="school", title="Trees for the school", target_trees=9, begins_on=today, ends_on=today)
    values: dict[str, Any] = {
        "household": {"household": owner}, "species": {"species": species}, "anywhere": {}, "campaign": {},
    }[choice]  # fmt: skip
    if choice == "campaign":
        campaign.contact = "school@example.org"
        campaign.save()
        values = {"campaign": campaign}
    Order.objects.filter(pk=order.pk).update(area=None, **values)
    assert says.replace("石*妹", owner.masked_name) in page(order)
    # Also when it is over, with a way to choose again.
    orders.cancel_order(order)
    assert "Order again" in page(order)


def test_what_was_never_paid_cannot_be_given_back() -> None:
    factories.market(2)
    order, client = order_world.fresh(), Client(headers={"accept-language": "en"})
    assert address(order, "give-back") not in page(order)
    assert "No trees of this order are yours any more." in client.get(address(order, "give-back")).content.decode()


def test_a_buyer_gives_a_tree_back() -> None:
    factories.market(2)
    order, client = factories.paid_order(2), Client(headers={"accept-language": "en"})
    answer = client.post(address(order, "give-back"), {"trees": "1", "sure": "on"}, follow=True)
    assert "Your trees were given back." in answer.content.decode()
    assert "This order was refunded in part" in answer.content.decode()
    refund = Refund.objects.get()
    assert (refund.fen, refund.reason, refund.payment.order) == (300, "asked", order)
    assert books.stock() == (2, 1)
    books.all_is_well()
