"""Campaigns: applied for, approved by the office, bought with, counted, shared; and what strangers may not do."""

import io
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from purchases import campaign_drawing, campaigns
from purchases.models import Campaign, Order, Organisation, Refund, SinkRelease
from purchases.orders import place_order
from tests import factories
from tests.purchases import books

pytestmark = pytest.mark.django_db
USCC = "91310115591693856A"


def wish(**changes: Any) -> dict[str, Any]:
    """What somebody enters."""
    today = timezone.localdate()
    return {
        "slug": "class-of-2026",
        "title": "One tree each",
        "owner": "No. 1 Middle School",
        "story": "Each of us buys a tree that a family cares for.",
        "contact": "school@example.org",
        "target_trees": 40,
        "begins_on": today,
        "ends_on": today + timedelta(days=30),
        **changes,
    }


def running(**changes: Any) -> Campaign:
    made = campaigns.apply_for_campaign(**wish(**changes))
    campaigns.approve(made, by=factories.user(roles.ADMINISTRATOR))
    return made


@pytest.fixture(autouse=True)
def in_english(client: Client) -> None:
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"


def buy(campaign: Campaign, trees: int, holder: str = "", *, paid: bool = True) -> Order:
    contact = f"{uuid.uuid4().hex}@example.org"
    order = place_order(key=uuid.uuid4().hex, contact=contact, quantity=trees, campaign=campaign, holder=holder)
    if paid:
        factories.capture(factories.payment(order))
    cache.clear()
    return order


def test_application_by_the_form_waits_for_the_office(client: Client) -> None:
    answer = client.post("/campaigns/new/", {**wish(), "website": ""}, follow=True)
    assert "The office reads your application" in answer.content.decode()
    made = Campaign.objects.get()
    assert (made.state, made.slug, made.target_trees, made.organisation) == ("applied", "class-of-2026", 40, None)
    assert "school@example.org" not in answer.content.decode()
    for address in ("", "qr.png", "poster.pdf", "image.png"):
        assert client.get(f"/campaigns/class-of-2026/{address}").status_code == 404
    assert client.get("/api/v1/campaigns/class-of-2026").status_code == 404
    assert "One tree each" not in client.get("/campaigns/").content.decode()


def test_office_lets_it_run_refuses_and_ends_in_the_admin(client: Client) -> None:
    first = campaigns.apply_for_campaign(**wish())
    second = campaigns.apply_for_campaign(**wish(slug="second"))
    client.force_login(factories.user(roles.ADMINISTRATOR))
    address = reverse("admin:purchases_campaign_changelist")
    client.post(address, {"action": "approve", "_selected_action": [first.pk]})
    client.post(address, {"action": "refuse", "_selected_action": [second.pk]})
    assert [Campaign.objects.get(pk=row.pk).state for row in (first, second)] == ["running", "refused"]
    client.post(address, {"action": "end", "_selected_action": [first.pk, second.pk]})
    assert [Campaign.objects.get(pk=row.pk).state for row in (first, second)] == ["ended", "refused"]
    assert [change.to_state for change in first.history()] == ["running", "ended"]
    client.logout()
    assert client.get("/campaigns/class-of-2026/").status_code == 200
    assert client.get("/campaigns/second/").status_code == 404


def test_finance_and_officers_decide_nothing(client: Client) -> None:
    made = campaigns.apply_for_campaign(**wish())
    for role in (roles.FINANCE, roles.OFFICER):
        client.force_login(factories.user(role))
        client.post(
            reverse("admin:purchases_campaign_changelist"), {"action": "approve", "_selected_action": [made.pk]}
        )
    made.refresh_from_db()
    assert made.state == "applied"


def test_page_sells_with_the_campaign_and_its_bar_counts_what_is_paid(client: Client) -> None:
    factories.market(6, 6)
    made = running()
    page = client.get("/campaigns/class-of-2026/").content.decode()
    token = re.search(r'name="form_token" value="([^"]+)"', page)
    assert token
    sent = {"form_token": token.group(1), "contact": "a@example.org", "quantity": 2, "holder": "李雷"}
    answer = client.post("/campaigns/class-of-2026/", sent)
    order = Order.objects.get()
    assert answer.headers["Location"] == f"/orders/{order.token}/"
    assert (order.campaign, order.quantity) == (made, 2)
    assert campaigns.progress(made).trees == 0  # Held is not paid.
    factories.capture(factories.payment(order))
    assert campaigns.progress(made).trees == 0  # Counted at most a minute ago.
    cache.clear()
    buy(made, 3)
    found = campaigns.progress(made)
    assert (found.trees, found.orders, found.names, found.percent) == (5, 2, ["李雷"], 12)
    assert client.get("/api/v1/campaigns/class-of-2026").json()["trees"] == 5
    books.all_is_well()


def test_what_was_given_back_counts_no_longer(client: Client) -> None:
    factories.market(6)
    made = running()
    order, other = buy(made, 3), buy(made, 2)
    sink = order.sinks.first()
    assert sink is not None
    refund = Refund.objects.create(payment=order.payments.get(), fen=300, reason="asked")
    SinkRelease.objects.create(sink=sink, order=order, reason="asked", left_on=timezone.localdate(), refund=refund)
    kept = other.sinks.first()
    assert kept is not None
    SinkRelease.objects.create(sink=kept, order=other, reason="felled", left_on=timezone.localdate())
    assert campaigns.progress(made).trees == 4


@pytest.mark.parametrize(("begins", "ends", "words"), [(3, 9, "Begins on"), (0, 9, "Join in")])
def test_page_before_and_in_its_period(client: Client, begins: int, ends: int, words: str) -> None:
    factories.market(2)
    today = timezone.localdate()
    running(begins_on=today + timedelta(days=begins), ends_on=today + timedelta(days=ends))
    page = client.get("/campaigns/class-of-2026/").content.decode()
    assert words in page
    sent = {"form_token": str(uuid.uuid4()), "contact": "a@example.org", "quantity": 1}
    answer = client.post("/campaigns/class-of-2026/", sent)
    assert answer.status_code == (302 if begins == 0 else 409)
    assert Order.objects.count() == (1 if begins == 0 else 0)


def test_page_after_its_period_or_end_sells_nothing(client: Client) -> None:
    factories.market(2)
    made = running()
    Campaign.objects.update(
        begins_on=timezone.localdate() - timedelta(days=9), ends_on=timezone.localdate() - timedelta(days=1)
    )
    assert "This campaign is over" in client.get("/campaigns/class-of-2026/").content.decode()
    made.refresh_from_db()
    assert not made.is_open
    sent = {"form_token": str(uuid.uuid4()), "contact": "a@example.org", "quantity": 1}
    assert client.post("/campaigns/class-of-2026/", sent).status_code == 409
    assert not Order.objects.exists()
    assert not campaigns.running().exists()


def test_text_of_strangers_is_shown_as_text(client: Client) -> None:
    story = "<script>alert(1)</script> look at http://example.org/ and buy.\r\n\r\nSecond‮ paragraph."
    running(title="<b>Bold</b> & bright", owner='"><img src=x>', story=story)
    page = client.get("/campaigns/class-of-2026/").content.decode()
    assert "<script>alert" not in page and "<b>Bold" not in page and "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; look at http://example.org/ and buy." in page
    assert 'href="http://example.org' not in page and "‮" not in page
    assert re.search(r"<p>\s*Second paragraph\.</p>", page)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"slug": "Class 2026"}, "bad_slug"),
        ({"slug": "new"}, "slug_taken"),
        ({"slug": "taken"}, "slug_taken"),
        ({"title": " ​ "}, "bad_text"),
        ({"title": "Trees 🌲"}, "bad_text"),
        ({"story": "too short"}, "bad_text"),
        ({"contact": "nobody"}, "bad_contact"),
        ({"organisation_code": "91310115591693856B", "organisation_kind": "enterprise"}, "bad_code"),
        ({"organisation_code": USCC, "organisation_kind": "club"}, "invalid"),
        ({"target_trees": 0}, "bad_target"),
        ({"ends_on": timezone.localdate() - timedelta(days=1)}, "bad_period"),
        ({"begins_on": timezone.localdate() + timedelta(days=31)}, "bad_period"),
        ({"ends_on": timezone.localdate() + timedelta(days=367)}, "bad_period"),
    ],
)
def test_bad_applications_are_refused_in_a_sentence(changes: dict[str, Any], code: str) -> None:
    running(slug="taken", contact="other@example.org")
    with pytest.raises(DomainError) as refused:
        campaigns.apply_for_campaign(**wish(**changes))
    assert refused.value.code == code
    assert Campaign.objects.count() == 1 and not Organisation.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slug": "Ä"}, "Use small letters"),
        ({"target_trees": "many"}, "Enter a whole number"),
        ({"begins_on": "soon"}, "Enter a valid date"),
        ({"area": "123"}, "No place has this code"),
        ({"area": "１２"}, "No place has this code"),
        ({"species": "99"}, "Select a valid choice"),
        ({"organisation_code": USCC}, "Choose what kind of organisation"),
        ({"title": "x" * 61}, "at most 60 characters"),
        ({"story": ""}, "This field is required"),
    ],
)
def test_the_form_says_what_to_correct(client: Client, changes: dict[str, Any], words: str) -> None:
    answer = client.post("/campaigns/new/", wish(**changes))
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Campaign.objects.exists()


def test_a_programme_that_fills_in_every_field_stores_nothing(client: Client) -> None:
    answer = client.post("/campaigns/new/", {**wish(), "website": "http://example.org"})
    assert answer.status_code == 302
    assert not Campaign.objects.exists()


def test_nobody_floods_the_office() -> None:
    for number in range(3):
        campaigns.apply_for_campaign(**wish(slug=f"mine-{number}"))
    with pytest.raises(DomainError, match="several campaigns already"):
        campaigns.apply_for_campaign(**wish(slug="mine-4"))
    for number in range(5):
        other = wish(slug=f"there-{number}", contact=f"other{number}@example.org")
        campaigns.apply_for_campaign(**other, address="10.0.0.1")
    with pytest.raises(DomainError, match="several campaigns already"):
        campaigns.apply_for_campaign(**wish(slug="there-6", contact="last@example.org"), address="10.0.0.1")
    campaigns.apply_for_campaign(**wish(slug="elsewhere", contact="last@example.org"), address="10.0.0.2")


def test_organisation_is_noted_once_and_unchecked(client: Client) -> None:
    for slug in ("first", "second"):
        running(slug=slug, organisation_code=f" {USCC.lower()} ", organisation_kind="enterprise")
    organisation = Organisation.objects.get()
    assert (organisation.code, organisation.checked_at) == (USCC, None)
    assert "organisation checked" not in client.get("/campaigns/first/").content.decode()
    Organisation.objects.update(checked_at=timezone.now(), checked_by=factories.user(roles.ADMINISTRATOR))
    assert "organisation checked" in client.get("/campaigns/first/").content.decode()


def test_it_is_shared_by_picture_poster_and_code(client: Client) -> None:
    running(title="让毕业生每人认领一棵山里的树", story="我们每人认领一棵树。" * 30)
    page = client.get("/campaigns/class-of-2026/").content.decode()
    assert '<meta property="og:image" content="http' in page and "/campaigns/class-of-2026/image.png" in page
    image = Image.open(io.BytesIO(client.get("/campaigns/class-of-2026/image.png").content))
    assert (image.format, image.size) == ("PNG", (1200, 630))
    poster = client.get("/campaigns/class-of-2026/poster.pdf")
    assert poster.headers["Content-Type"] == "application/pdf" and poster.content.startswith(b"%PDF")
    assert client.get("/campaigns/class-of-2026/qr.png").headers["Content-Type"] == "image/png"


def test_lines_are_broken_at_spaces_and_cut_at_the_last() -> None:
    lines = campaign_drawing.wrapped("One tree for everybody who comes to us", 100, 12, 2)
    assert lines == ["One tree for", "everybody who…"]
    assert campaign_drawing.wrapped("树" * 30, 120, 12, 9) == ["树" * 10] * 3
    assert campaign_drawing.wrapped("short", 120, 12, 2) == ["short"]
    assert campaign_drawing.wrapped("树" * 10 + "。树", 120, 12, 2) == ["树" * 9, "树。树"]
