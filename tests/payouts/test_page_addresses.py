"""The address of a household's own page: on its papers and in its SMS, and nowhere else that anybody could look."""

import base64
import re
from collections import deque
from html import unescape
from typing import Any

import cv2
import numpy as np
import pytest
from django.db import connection
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.messages.models import Message
from carbonsink.models import StateChange
from payouts import access
from payouts.messages_to_households import page_of
from payouts.models import HouseholdPin
from tests import factories
from tests.payouts.test_household_page import PIN, address, entered, set_pin, shown, visitor
from tests.purchases import books
from tests.trees.conftest import signed_in
from trees.models import Household
from trees.models.households import NEW_PAGE_KEY

pytestmark = pytest.mark.django_db
CATALOGUE = "/api/v1/trees-for-sale"
# Where each reader begins; further pages are found by the links on these.
DOORS = {
    "": [
        "/", CATALOGUE, "/api/v1/species", "/api/v1/areas/522633000000", "/api/v1/register", "/orders/{own}/",
        "/api/v1/orders/{own}",
    ],
    roles.BUYER: ["/my/"],
    roles.OFFICER: [
        "/officer/", "/officer/accounts/", "/officer/papers/", "/officer/cases/", "/api/v1/field/day",
        "/api/v1/field/households/{own}/trees",
    ],
    roles.REVIEWER: ["/review/", "/review/reports/", "/officer/papers/", "/officer/cases/"],
    roles.FINANCE: ["/finance/accounts/", "/finance/waiting/", "/finance/follow/", "/finance/cases/", "/admin/"],
    roles.ADMINISTRATOR: ["/admin/"],
}  # fmt: skip
LINK = re.compile(r'(?:href|src|action)="(/[^"#]*)')


def catalogue() -> list[str]:
    """Every household that the market names, as anybody can read it."""
    trees = Client().get(CATALOGUE).json()["trees"]
    return list(dict.fromkeys(tree["household"] for tree in trees))


def test_who_knows_all_households_of_the_market_finds_no_page_and_changes_nothing() -> None:
    owners = factories.market(2, 1)
    for owner in owners:
        set_pin(owner)
    names = catalogue()
    assert sorted(names) == sorted(owner.public_id for owner in owners)

    def stored() -> Any:
        return list(HouseholdPin.objects.order_by("pk").values()), StateChange.objects.count(), Message.objects.count()

    before, client, unknown = stored(), visitor(), "0123456789abcdef0123"
    for name in [*names, unknown, *[str(owner.pk) for owner in owners]]:
        for what in ("", "qr.png"):
            assert client.get(f"/h/{name}/{what}").status_code == 404
        for what in ("", "pin/", "say/", "stop/", "leave/"):
            for _ in range(access.TRIES + 1):
                assert client.post(f"/h/{name}/{what}", {"pin": PIN}).status_code == 404, what
    assert stored() == before
    for owner in owners:
        assert owner.masked_name in shown(entered(owner), owner)
    books.all_is_well()


def everything_readable(client: Client, doors: list[str]) -> dict[str, str]:
    """Every page, picture's address and answer that leads on from the doors, by its address."""
    read: dict[str, str] = {}
    waiting = deque(doors)
    while waiting and len(read) < 300:
        path = waiting.popleft()
        if path in read or path.startswith(("/static/", "/media/", "/api/schema", "/i18n/")):
            continue
        answer = client.get(path)
        content = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
        read[path] = answer.headers.get("Location", "") + content.decode(errors="replace")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            waiting.extend(unescape(link) for link in LINK.findall(read[path]))
    return read


@pytest.mark.parametrize("role", DOORS)
def test_no_page_and_no_answer_names_the_address_of_a_household_s_page(role: str) -> None:
    owners = factories.market(2, 1)
    for owner in owners:
        factories.account(owner, approved=False)
    order = factories.paid_order(tree=owners[0].trees.order_by("pk")[0])
    set_pin(owners[0])
    client = signed_in(factories.user(role)) if role else Client()
    own = {"": order.token, roles.OFFICER: owners[0].public_id}.get(role, "")
    read = everything_readable(client, [door.format(own=own) for door in DOORS[role]])
    assert 25 < len(read) < 300 and any(owners[0].public_id in page for page in read.values())
    for owner in owners:
        assert [path for path, page in read.items() if owner.page_key in page] == []


def test_every_household_gets_an_address_of_128_random_bits_of_its_own() -> None:
    for _ in range(2):
        factories.household()
    first, second = Household.objects.order_by("pk")
    before = {first.page_key, second.page_key}
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trees_household SET page_key = DEFAULT")
        cursor.execute(f"SELECT {NEW_PAGE_KEY.extra['template']} FROM generate_series(1, 500)")
        made = [key for (key,) in cursor.fetchall()]
    keys = {*made, *before, *Household.objects.values_list("page_key", flat=True)}
    assert len(keys) == 504
    raw = np.array([list(base64.urlsafe_b64decode(key + "==")) for key in keys], np.uint8)
    assert raw.shape == (504, 16)
    # No bit is the same in all of them, as those of UUIDs are that tell their version.
    assert not np.bitwise_and.reduce(raw).any() and np.bitwise_or.reduce(raw).tolist() == [255] * 16


def scanned(client: Client, household: Household) -> str:
    """What a camera reads on the officer's page of a household."""
    answer = client.get(f"/officer/households/{household.public_id}/qr.png")
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]
    text, *_ = cv2.QRCodeDetector().detectAndDecode(cv2.imdecode(np.frombuffer(answer.content, np.uint8), 0))
    return str(text)


def test_an_officer_gives_the_page_a_new_address_when_the_paper_was_lost() -> None:
    owner, other = factories.market(1, 1)
    set_pin(owner), set_pin(other)
    officer, former = signed_in(owner.registered_by), address(owner)
    assert scanned(officer, owner) == page_of(owner)
    thief = entered(owner)
    answer = officer.post(f"/officer/households/{owner.public_id}/page/", follow=True)
    assert answer.status_code == 200 and "The page has a new address." in answer.content.decode()
    others_key = other.page_key
    owner.refresh_from_db(), other.refresh_from_db()
    assert address(owner) != former and other.page_key == others_key
    for client in (thief, visitor()):
        assert client.get(former).status_code == 404
        assert client.post(former, {"pin": PIN}).status_code == client.post(former + "pin/").status_code == 404
    assert scanned(officer, owner) == page_of(owner) and former not in page_of(owner)
    assert owner.masked_name in shown(entered(owner), owner)
    assert not Message.objects.exists()
    change = StateChange.objects.get(thing="payouts.householdpin", to_state="new address")
    assert (change.by, change.object_id) == (owner.registered_by, HouseholdPin.objects.get(household=owner).pk)
    for key in (owner.page_key, former):
        assert not StateChange.objects.filter(reason__contains=key).exists()


def test_who_only_found_the_paper_cannot_take_the_household_s_pin_away() -> None:
    """A PIN sent by SMS takes the place of the household's own when it is entered, not when it is asked for."""
    owner = factories.household()
    set_pin(owner)
    opened = entered(owner)
    visitor().post(address(owner, "pin/"))
    sent = Message.objects.get().subject.removeprefix("新密码")
    row = HouseholdPin.objects.get()
    assert (row.version, row.set_by, row.sent) == (1, owner.registered_by, 1) and sent not in row.sent_hashed
    assert owner.masked_name in shown(opened, owner)
    assert owner.masked_name in shown(entered(owner), owner)
    second = entered(owner, sent)
    row.refresh_from_db()
    assert (row.version, row.set_by, row.sent_hashed, row.wrong) == (2, None, "", 0)
    assert owner.masked_name in shown(second, owner) and "PIN (6 digits)" in shown(opened, owner)
    assert visitor().post(address(owner), {"pin": PIN}).status_code == 400
    entered(owner, sent)


def test_a_pin_that_the_officer_sets_ends_one_that_was_sent() -> None:
    owner = factories.household()
    access.send_pin(owner)
    sent = Message.objects.get().subject.removeprefix("新密码")
    set_pin(owner)
    assert visitor().post(address(owner), {"pin": sent}).status_code == 400
    entered(owner)
