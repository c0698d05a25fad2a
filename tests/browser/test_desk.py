"""The reviewer's desk by keyboard, in a real browser at the size of a desk, and by touch on a phone."""

import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from carbonsink.accounts.roles import REVIEWER
from carbonsink.states import move_many
from tests import factories
from tests.browser.test_journeys import sign_in
from trees.flags import raise_flag
from trees.models import Flag, Household, Photo, Review, SecondLook, Tree
from trees.second_looks import draw_second_looks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A reviewer at a large screen, signed in; every file must load and no rule of content security be broken."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(15_000)
    sign_in(page, live_server.url, factories.user(REVIEWER).email or "")
    yield page
    context.close()
    assert [text for text in wrong if not re.search(r"status of 4(00|09)", text)] == []


def trees(owner: Household, count: int) -> list[Tree]:
    """Trees in a row, 2 m from each other."""
    return [factories.tree(owner, lon=Decimal("108.921") + Decimal(n) / 50_000) for n in range(count)]


def number(page: Page) -> str:
    return page.locator("#desk-news").get_attribute("data-number") or ""


def on_the_desk(page: Page, tree: Tree) -> None:
    """Waits until this tree is on the desk, and its keys work."""
    expect(page.locator("#desk-news")).to_have_attribute("data-number", tree.number)
    expect(page.locator("[data-toggle]").first).to_be_visible()


def at(page: Page, tree: Tree) -> None:
    """Waits until this tree is on the desk, at its own address."""
    on_the_desk(page, tree)
    assert f"/review/{tree.number}/" in page.url


def test_a_reviewer_decides_by_keyboard_without_loading_a_page(live_server: Any, desk: Page) -> None:
    factories.divisions()
    one, two, three, four = trees(factories.household(), 4)
    desk.goto(f"{live_server.url}/review/")
    desk.click("text=One by one")
    at(desk, one)
    desk.evaluate("window.untouched = true")

    desk.keyboard.press("n")
    at(desk, two)
    desk.keyboard.press("p")
    at(desk, one)
    desk.keyboard.press("a")
    at(desk, two)
    expect(desk.get_by_text(f"Tree {one.number} is approved.")).to_be_visible()
    desk.keyboard.press("r")
    desk.keyboard.press("3")
    at(desk, three)
    desk.keyboard.press("r")
    desk.keyboard.press("7")
    expect(desk.locator("details[open] [name=note]")).to_be_focused()
    desk.keyboard.type("a fence post")  # Letters that are keys of the desk elsewhere.
    assert Tree.objects.get(pk=three.pk).state == "submitted"
    desk.keyboard.press("Enter")
    at(desk, four)
    desk.keyboard.press("u")
    at(desk, three)
    assert desk.evaluate("window.untouched") is True
    desk.go_back()
    at(desk, four)
    assert [(r.tree, r.decision, r.reason, r.note) for r in Review.objects.order_by("pk")] == [
        (one, "approved", "", ""), (two, "rejected", "wrong_size", ""), (three, "rejected", "other", "a fence post"),
    ]  # fmt: skip
    desk.keyboard.press("a")
    desk.wait_for_url("**/review/")
    expect(desk.get_by_text("No tree waits for a review. Well done.")).to_be_visible()


def test_a_refused_approval_is_said_and_the_address_stays(live_server: Any, desk: Page) -> None:
    factories.programme(max_trees_per_household=1)
    owner = factories.household()
    factories.approved_tree(owner)
    tree, _other = trees(owner, 2)
    address = f"{live_server.url}/review/{tree.number}/?in={owner.village_id}"
    desk.goto(address)
    desk.keyboard.press("a")
    expect(desk.get_by_role("alert")).to_contain_text("The household has its 1 trees already.")
    assert desk.url == address
    assert Tree.objects.get(pk=tree.pk).state == "submitted"
    desk.reload()
    at(desk, tree)


def test_map_zoom_and_help_have_their_keys(live_server: Any, desk: Page) -> None:
    tree = trees(factories.household(), 3)[0]
    desk.goto(f"{live_server.url}/review/{tree.number}/")
    expect(desk.locator("#map .leaflet-control-scale")).to_be_visible()
    expect(desk.locator("#map canvas")).to_be_visible()
    small = desk.locator("#map").bounding_box()
    desk.keyboard.press("m")
    large = desk.locator("#map").bounding_box()
    assert small is not None
    assert large is not None
    assert large["width"] > 800 > small["width"]
    desk.keyboard.press("m")

    width = desk.locator(".shot img").bounding_box()
    desk.keyboard.press("z")
    wide = desk.locator(".shot img").bounding_box()
    assert width is not None
    assert wide is not None
    assert wide["width"] > 2.5 * width["width"]
    desk.keyboard.press("z")
    desk.keyboard.press("?")
    expect(desk.get_by_text("send back, with the reason of this number")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.get_by_text("send back, with the reason of this number")).to_be_hidden()
    # Letters in a field are letters.
    desk.keyboard.press("r")
    desk.locator("details[open] [name=note]").press_sequentially("azmn")
    expect(desk.locator("details[open] [name=note]")).to_have_value("azmn")
    assert Review.objects.count() == 0


def test_a_flag_stands_beside_the_picture_it_speaks_of(live_server: Any, desk: Page) -> None:
    tree, other, _third = trees(factories.household(), 3)
    raise_flag(Flag.Kind.NEAR_PHOTO, household=tree.household, tree=tree, other_tree=other, matching_percent=91)
    desk.goto(f"{live_server.url}/review/next/?only=near_photo")
    at(desk, tree)
    pictures = desk.locator(".shot .picture")
    expect(pictures).to_have_count(2)
    left, right = (pictures.nth(n).bounding_box() for n in range(2))
    assert left is not None
    assert right is not None
    assert abs(left["width"] - right["width"]) < 2
    assert right["x"] > left["x"] + left["width"]
    expect(desk.locator(".shot-other figcaption")).to_contain_text("matching 91 %")
    desk.keyboard.press("a")
    desk.wait_for_url("**/review/")
    assert Flag.objects.get().review == Review.objects.get()


def test_a_hundred_clean_trees_take_one_key(live_server: Any, desk: Page) -> None:
    owner = factories.household()
    first = factories.tree(owner)
    photo = first.photos.get()
    for _ in range(99):
        tree = factories.tree(owner, photo=False)
        copy = Photo.objects.create(
            tree=tree, sha256=photo.sha256, original=photo.original, uploaded_by=photo.uploaded_by,
            large=photo.large, small=photo.small, dhash=0,
        )  # fmt: skip
        Tree.objects.filter(pk=tree.pk).update(picture=copy)
    move_many(Photo.objects.filter(state="received"), "accepted")
    desk.goto(f"{live_server.url}/review/")
    desk.click("text=Many at once")
    expect(desk.locator("[data-key=a]")).to_contain_text("Approve these 100")
    begun = time.perf_counter()
    desk.keyboard.press("a")
    expect(desk.get_by_text("100 trees are decided.")).to_be_visible()
    print(f"\n1 key, {time.perf_counter() - begun:.2f} s in the browser")  # noqa: T201 - shown with -s.
    assert Tree.objects.filter(state="approved").count() == 100


def test_some_are_set_aside_by_key_and_sent_back(live_server: Any, desk: Page) -> None:
    owner = factories.household()
    made = trees(owner, 9)
    desk.goto(f"{live_server.url}/review/villages/{owner.village_id}/")
    for key in ("ArrowRight", "ArrowRight", "x", "ArrowDown", "x", "ArrowUp", "ArrowLeft"):
        desk.keyboard.press(key)
    expect(desk.locator(f"[name=aside][value='{made[0].number}']")).to_be_focused()
    expect(desk.locator("[data-key=r]")).to_contain_text("Send 2 back")
    expect(desk.locator("[data-key=a]")).to_contain_text("Approve these 7")
    # Enter never approves: it would send back, and asks for the reason.
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("alert")).to_contain_text("Choose the reason.")
    assert Review.objects.count() == 0

    desk.goto(f"{live_server.url}/review/villages/{owner.village_id}/")
    for key in ("ArrowRight", "ArrowRight", "x", "ArrowDown", "x", "r", "5"):
        desk.keyboard.press(key)
    expect(desk.get_by_text("2 trees are decided.")).to_be_visible()
    rejected = Review.objects.filter(decision="rejected", reason="duplicate")
    assert {review.tree for review in rejected} == {made[1], made[8]}
    desk.keyboard.press("a")
    expect(desk.get_by_text("7 trees are decided.")).to_be_visible()
    assert Tree.objects.filter(state="approved").count() == 7


def test_a_second_look_is_taken_by_keyboard_too(live_server: Any, desk: Page) -> None:
    factories.divisions()
    factories.programme(second_look_percent=100)
    owner, first = factories.household(), factories.user(REVIEWER)
    made = [factories.approved_tree(owner, first) for _ in range(2)]
    factories.tree(owner)
    draw_second_looks(Review.objects.latest("at").at.replace(year=2099))
    desk.goto(f"{live_server.url}/review/second-looks/")
    desk.locator(".tree-card a").first.click()
    on_the_desk(desk, made[0])
    desk.keyboard.press("a")
    on_the_desk(desk, made[1])
    desk.keyboard.press("r")
    desk.keyboard.press("2")
    desk.wait_for_url("**/review/second-looks/")
    assert [(look.verdict, look.reason) for look in SecondLook.objects.order_by("pk")] == [
        ("agrees", ""), ("disagrees", "wrong_species"),
    ]  # fmt: skip
    assert [Tree.objects.get(pk=tree.pk).state for tree in made] == ["approved", "submitted"]


def test_without_javascript_everything_still_works(live_server: Any, browser: Browser) -> None:
    one, two, three = trees(factories.household(), 3)
    context = browser.new_context(java_script_enabled=False, locale="en-US")
    page = context.new_page()
    sign_in(page, live_server.url, factories.user(REVIEWER).email or "")
    page.goto(f"{live_server.url}/review/next/")
    page.click("button:has-text('Approve')")
    page.wait_for_url(f"**/review/{two.number}/")
    page.click("summary:has-text('Send back')")
    page.check("[name=reason][value=bad_photo]")
    page.click("text=Send it back to the officer")
    page.wait_for_url(f"**/review/{three.number}/")
    page.goto(f"{live_server.url}/review/villages/{one.household.village_id}/")
    page.click("text=Approve all that are not set aside")
    expect(page.get_by_text("1 tree is decided.")).to_be_visible()
    context.close()
    states = [Tree.objects.get(pk=tree.pk).state for tree in (one, two, three)]
    assert states == ["approved", "rejected", "approved"]


def test_on_a_phone_the_buttons_are_at_hand(live_server: Any, page: Page) -> None:
    one, two = trees(factories.household(), 2)
    sign_in(page, live_server.url, factories.user(REVIEWER).email or "")
    page.goto(f"{live_server.url}/review/next/")
    button = page.locator("[data-key=a]").bounding_box()
    assert button is not None
    assert button["y"] + button["height"] <= 844
    assert button["height"] >= 44
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[data-key=a]").tap()
    at(page, two)
    assert Tree.objects.get(pk=one.pk).state == "approved"
