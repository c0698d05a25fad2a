"""What the tests of buyers' own pages share: a market, a paid order, and what reached a contact."""

import re
from typing import Any

from django.test import Client

from carbonsink.messages.models import Message
from purchases import messages_to_buyers
from purchases.links import ASKED, my_trees_link
from purchases.models import Buyer, Order
from purchases.sweeping import each
from tests import factories

ENGLISH = {"accept-language": "en"}


def path(link: str) -> str:
    """The path of an absolute link."""
    return re.sub(r"^https?://[^/]+", "", link)


def links_in(message: Message) -> list[str]:
    """The addresses that a message names, as paths."""
    return [path(link) for link in re.findall(r"https?://\S+", message.body)]


def anybody(**options: Any) -> Client:
    """A browser that nobody knows."""
    return Client(headers=ENGLISH, **options)


def browser_of(contact: str) -> Client:
    """A browser in which the link of a contact was opened."""
    client = anybody()
    buyer = Buyer.objects.filter(contact_digest__isnull=False).order_by("pk")
    found = next(one for one in buyer if one.contact == contact)
    assert client.get(path(my_trees_link(found, ASKED))).status_code == 302
    return client


def bought(quantity: int, contact: str = "giver@example.org", **more: Any) -> Order:
    """A paid order in a market that has enough."""
    order = factories.paid_order(quantity, contact=contact, **more)
    each(messages_to_buyers.untold(), messages_to_buyers.tell_paid)
    return order
