"""Reminders: asked for, sent once for each year, paused and stopped; nothing is ever bought by them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.messages.models import Message
from purchases.choices import address_again
from purchases.models import Order, Repeat, Tariff
from purchases.tasks import remind_buyers
from tests import factories
from tests.purchases.buying import anybody, bought, browser_of, links_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    factories.market(3)
    return bought(2)


@pytest.fixture
def to_day(later: Any) -> Any:
    """Puts the clock to noon of a day."""

    def put(year: int, month: int, day: int) -> None:
        noon = timezone.make_aware(datetime(year, month, day, 12))
        later(seconds=(noon - timezone.now()).total_seconds())

    return put


def press(order: Order, what: str) -> int:
    return int(anybody().post(f"/orders/{order.token}/repeat/", {"do": what}).status_code)


def next_tariff(order: Order, **more: Any) -> Tariff:
    opens = timezone.make_aware(datetime(order.vintage + 1, 1, 1))
    values = {"opens_at": opens, "closes_at": opens + timedelta(days=300), **more}
    return Tariff.objects.create(vintage=order.vintage + 1, **values)


def reminders() -> list[Message]:
    return list(Message.objects.filter(key__startswith="repeat:").order_by("pk"))


def test_one_message_before_the_year_ends_with_the_same_choice(order: Order, to_day: Any) -> None:
    assert press(order, "start") == 302
    next_tariff(order)
    to_day(order.vintage, 11, 30)
    remind_buyers()
    assert reminders() == []
    to_day(order.vintage, 12, 1)
    remind_buyers()
    remind_buyers()
    (message,) = reminders()
    again, manage = links_in(message)
    assert (message.to, again) == ("giver@example.org", "/areas/522633000000/?trees=2")
    assert manage == f"/orders/{order.token}/repeat/" and anybody().get(manage).status_code == 200
    assert Order.objects.count() == 1


def test_no_tariff_no_reminder_until_there_is_one(order: Order, to_day: Any) -> None:
    press(order, "start")
    to_day(order.vintage, 12, 20)
    remind_buyers()
    assert reminders() == []
    next_tariff(order)
    to_day(order.vintage + 1, 2, 1)
    remind_buyers()
    assert len(reminders()) == 1


def test_nobody_is_reminded_who_has_not_asked_or_has_paused_or_stopped(order: Order, to_day: Any) -> None:
    next_tariff(order)
    to_day(order.vintage, 12, 15)
    remind_buyers()
    press(order, "start")
    press(order, "pause")
    remind_buyers()
    assert reminders() == []
    press(order, "resume")
    press(order, "stop")
    remind_buyers()
    assert reminders() == []
    assert press(order, "start") == 302
    assert press(order, "resume") == 409
    assert Repeat.objects.get().state == "stopped"


def test_going_on_reminds_after_all(order: Order, to_day: Any) -> None:
    press(order, "start"), press(order, "pause"), press(order, "resume")
    next_tariff(order)
    to_day(order.vintage, 12, 15)
    remind_buyers()
    assert len(reminders()) == 1


def test_the_year_after_it_reminds_again(order: Order, to_day: Any) -> None:
    press(order, "start")
    first = next_tariff(order)
    to_day(order.vintage, 12, 15)
    remind_buyers()
    opens = timezone.make_aware(datetime(order.vintage + 2, 1, 1))
    Tariff.objects.create(vintage=first.vintage + 1, opens_at=opens, closes_at=opens + timedelta(days=300))
    remind_buyers()
    assert len(reminders()) == 1
    to_day(order.vintage + 1, 12, 15)
    remind_buyers()
    assert [message.key.rpartition(":")[2] for message in reminders()] == [str(first.vintage), str(first.vintage + 1)]


def test_an_unpaid_order_has_no_page_of_reminders() -> None:
    factories.market(1)
    assert anybody().get(f"/orders/{factories.order(1).token}/repeat/").status_code == 404


def test_what_no_button_says_is_404(order: Order) -> None:
    assert press(order, "buy") == 404
    assert not Repeat.objects.exists()


def test_every_choice_leads_to_its_own_form(order: Order) -> None:
    assert address_again(order) == "/areas/522633000000/?trees=2"
    assert address_again(order, 1) == "/areas/522633000000/?trees=1"
    order.area = None
    assert address_again(order) == "/anywhere/?trees=2"
    tree = order.sinks.all()[0].tree
    order.species = tree.species
    assert address_again(order) == f"/species/{tree.species_id}/?trees=2"
    order.species, order.household = None, tree.household
    assert address_again(order) == f"/households/{tree.household.public_id}/?trees=2"
    order.tree, order.household = tree, None
    assert address_again(order) == f"/trees/{tree.number}/"


def test_in_january_each_contact_that_agreed_is_told_once(order: Order, to_day: Any) -> None:
    press(order, "start")
    factories.market(3)
    bought(1)
    bought(2, contact="never-asked@example.org")
    to_day(order.vintage, 12, 31)
    remind_buyers()
    to_day(order.vintage + 1, 1, 5)
    remind_buyers()
    remind_buyers()
    to_day(order.vintage + 1, 2, 1)
    remind_buyers()
    (message,) = Message.objects.filter(key__startswith="summary:")
    assert message.to == "giver@example.org"
    assert "3" in message.body and "30" in message.body
    assert "giver" not in message.key


def test_my_trees_shows_whether_one_is_reminded(order: Order) -> None:
    client = browser_of("giver@example.org")
    assert "Remind me next year" in client.get("/my/").content.decode()
    press(order, "start")
    assert "Reminder: on" in client.get("/my/").content.decode()
