"""What waits on an officer's phone: whose it is, what the server refuses of it, and what it has otherwise."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import Route, expect

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER, REVIEWER
from payouts.demo.people import Villager, villager
from tests import factories
from tests.browser.phone import Phone
from tests.processes import wait_for
from trees import corrections, review
from trees.models import Correction, Household, Photo, Review, Tree

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def officer() -> User:
    """An officer, and all that the office has prepared."""
    factories.household_data()
    factories.tree_data()
    return factories.user(OFFICER, factories.VILLAGE)


def states(phone: Phone) -> list[tuple[str, str]]:
    """What is in the queue and how it is."""
    return sorted((row["kind"], row["state"]) for row in phone.stored("queue"))


def test_a_signed_out_phone_keeps_its_queue_and_sends_nothing_as_somebody_else(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/tree")
    phone.offline()
    phone.register_tree(factories.picture(), first=True)
    phone.context.clear_cookies()
    phone.offline(False)
    phone.open()
    expect(phone.page.locator("#sync[data-state=signed-out]")).to_contain_text("2")
    assert phone.page.locator("#sync a").get_attribute("href") == "/sign-in/?next=/field/"
    assert states(phone) == [("photo", "waiting"), ("tree", "waiting")]

    other = factories.user(OFFICER, factories.VILLAGE)
    User.objects.filter(pk=other.pk).update(name="another")
    phone.sign_in(other)
    phone.open()
    phone.page.reload()
    expect(phone.page.locator("#officer")).to_have_text("another")
    expect(phone.page.locator(".notice.warn")).to_contain_text(officer.name)
    expect(phone.page.locator("#sync")).to_have_attribute("data-state", "sent")
    phone.counts(0, 0, 0)
    assert (Tree.objects.count(), Photo.objects.count()) == (0, 0)
    assert states(phone) == [("photo", "waiting"), ("tree", "waiting")]

    phone.sign_in(officer)
    phone.page.reload()
    phone.counts(1, 0, 1)
    assert Tree.objects.get().registered_by == officer
    assert phone.stored("photos") == []


def test_one_bad_record_does_not_stop_the_others_and_is_put_right(phone: Phone, officer: User) -> None:
    person = villager(50)
    known = factories.household(officer, head_name=person.name, id_number=person.id_number, phone=person.phone)
    phone.begin(officer)
    phone.offline()
    for someone, trees in ((Villager(person.name, person.id_number, person.phone, person.card), 1), (villager(51), 2)):
        phone.open()
        phone.register_household(someone, account=False)
        phone.page.locator("a[href$='/tree']").tap()
        for number in range(trees):
            phone.register_tree(factories.picture((300 + 10 * trees + number, 200)), first=number == 0)
    phone.open()
    phone.offline(False)
    phone.counts(3, 1, 2)
    assert Household.objects.count() == 2
    assert Tree.objects.filter(household=known).count() == 0
    assert [state for state in states(phone) if state[1] != "done"] == [
        ("household", "refused"), ("photo", "waiting"), ("tree", "waiting"),
    ]  # fmt: skip

    phone.open("#/waiting")
    refused = phone.page.locator("[data-state=refused]")
    sentence = refused.locator("span").inner_text()
    assert sentence == next(row["sentence"] for row in phone.stored("queue") if row["state"] == "refused")
    assert len(sentence) > 10
    refused.tap()
    phone.page.locator("button.row", has_text=known.masked_name).tap()
    phone.open()
    phone.counts(3, 0, 3)
    assert Tree.objects.filter(household=known).count() == 1
    assert Household.objects.count() == 2


def test_records_over_which_the_server_stumbles_do_not_keep_the_others_waiting(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/tree")
    phone.offline()
    for number in range(4):
        phone.register_tree(factories.picture((300 + number, 200)), first=number == 0)
    rows = sorted((row for row in phone.stored("queue") if row["kind"] == "tree"), key=lambda row: row["made_at"])
    unlucky = [row["uuid"] for row in rows[:3]]

    def stumble(route: Route) -> None:
        if route.request.post_data_json["client_uuid"] in unlucky:
            route.fulfill(status=503, json={})
        else:
            route.continue_()

    phone.page.route(re.compile("/api/v1/trees$"), stumble)
    phone.offline(False)
    phone.open()
    phone.counts(4, 3, 1)
    assert Tree.objects.count() == 1
    assert [row["state"] for row in phone.stored("queue") if row["uuid"] in unlucky] == ["waiting"] * 3
    phone.page.unroute(re.compile("/api/v1/trees$"))
    phone.page.locator("#sync button").tap()
    phone.counts(4, 0, 4)
    assert Tree.objects.count() == 4


def test_an_edit_after_a_lost_answer_shows_both_versions_and_goes_as_a_correction(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    phone.begin(officer)
    lost = re.compile(r"/api/v1/trees$")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    phone.page.route(lost, lose)
    phone.open(f"#/household/{household.public_id}/tree")
    with phone.page.expect_event("requestfailed", lambda request: lost.search(request.url)):
        phone.register_tree(factories.picture(), first=True)
    assert Tree.objects.count() == 1
    assert states(phone) == [("photo", "waiting"), ("tree", "waiting")]

    row = next(row for row in phone.stored("queue") if row["kind"] == "tree")
    phone.open(f"#/record/{row['uuid']}")
    phone.page.fill("[name=size]", "9.1")
    phone.page.unroute(lost)
    phone.page.locator("#save").tap()
    differing = phone.page.locator("[data-state=differs]")
    expect(differing).to_be_visible()
    assert str(Tree.objects.get().dbh_cm) == "8.2"
    differing.tap()
    expect(phone.page.locator(".compare tr.differs td")).to_have_text(["9.1 cm", "8.2 cm"])

    phone.page.locator("#send-mine").tap()
    wait_for(lambda: {state for _kind, state in states(phone)} == {"done"})
    tree = Tree.objects.get()
    assert (str(tree.dbh_cm), tree.revision, Photo.objects.count()) == ("9.1", 2, 1)
    assert Correction.objects.get().before["dbh_cm"] == "8.2"


@pytest.mark.parametrize(("choice", "dbh_cm", "revision"), [("#keep-servers", "6.6", 2), ("#send-mine", "9.9", 3)])
def test_of_two_corrections_the_officer_sees_both_and_chooses(
    phone: Phone, officer: User, choice: str, dbh_cm: str, revision: int
) -> None:
    tree = factories.tree(factories.household(officer))
    review.reject_tree(tree, reviewer=factories.user(REVIEWER), reason=Review.Reason.WRONG_SIZE, note="")
    phone.begin(officer)
    phone.offline()
    phone.open(f"#/tree/{tree.number}/correct")
    phone.page.fill("[name=size]", "9.9")
    phone.page.locator("#save").tap()
    wait_for(lambda: states(phone) == [("correction", "waiting")])

    data = {key: value for key, value in factories.tree_data(dbh_cm=Decimal("6.6")).items() if key != "client_uuid"}
    corrections.correct_tree(
        tree, officer=factories.user(OFFICER, factories.VILLAGE), revision=1, captured_at=None, **data
    )
    phone.offline(False)
    phone.open("#/waiting")
    phone.page.locator("[data-state=differs]").tap()
    expect(phone.page.locator(".compare")).to_contain_text("9.9 cm")
    expect(phone.page.locator(".compare")).to_contain_text("6.6 cm")
    phone.page.locator(choice).tap()
    wait_for(lambda: states(phone) == [("correction", "done")])
    tree.refresh_from_db()
    assert (str(tree.dbh_cm), tree.revision, tree.state) == (dbh_cm, revision, Tree.State.SUBMITTED)


def test_a_rejected_tree_is_corrected_in_place(phone: Phone, officer: User) -> None:
    tree = factories.tree(factories.household(officer))
    reviewer = factories.user(REVIEWER)
    review.reject_tree(tree, reviewer=reviewer, reason=Review.Reason.BAD_PHOTO, note="太暗")
    phone.begin(officer)
    phone.page.locator(".row.bad").tap()
    expect(phone.page.locator(".notice.bad")).to_contain_text("太暗")
    phone.page.locator("a[href$='/correct']").tap()
    expect(phone.page.locator(".notice.bad")).to_contain_text("太暗")
    phone.page.locator("#save").tap()
    expect(phone.page.locator(".photo .wrong")).to_be_visible()
    assert states(phone) == []

    picture = factories.picture((333, 222))
    phone.camera(picture)
    phone.page.fill("[name=size]", "8.8")
    phone.page.locator("#save").tap()
    wait_for(lambda: states(phone) == [("correction", "done"), ("photo", "done")])
    tree.refresh_from_db()
    assert (tree.state, str(tree.dbh_cm), tree.revision) == (Tree.State.SUBMITTED, "8.8", 2)
    assert (str(tree.lon), str(tree.lat), tree.accuracy_m) == ("108.921000", "25.912000", 8)
    assert tree.photos.count() == 2

    # Corrected once more before the day is fetched anew: the phone knows the revision it made itself.
    phone.open(f"#/tree/{tree.number}/correct")
    expect(phone.page.locator("[name=size]")).to_have_value("8.8")
    phone.page.fill("[name=size]", "8.9")
    phone.page.locator("#save").tap()
    wait_for(lambda: states(phone) == [("correction", "done"), ("correction", "done"), ("photo", "done")])
    tree.refresh_from_db()
    assert (str(tree.dbh_cm), tree.revision) == ("8.9", 3)
    phone.open()
    phone.ready()
    expect(phone.page.locator(".row.bad")).to_have_count(0)
