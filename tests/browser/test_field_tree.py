"""At the tree: its position, its size, its tag, and what the phone checks by itself."""

from typing import Any

import pytest
from playwright.sync_api import expect
from stdnum import luhn
from stdnum.iso7064 import mod_11_10

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER
from carbonsink.errors import DomainError
from payouts.accounts import check_bank_code, check_number
from payouts.demo.people import BANK_CODE, villager
from tests import factories
from tests.browser.phone import POOR, Phone
from tests.processes import wait_for
from trees.models import Inspection, Photo, Tree
from trees.numbers import is_tree_number, tree_number
from trees.registration import check_id_number

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def officer() -> User:
    """An officer, and all that the office has prepared."""
    factories.household_data()
    factories.tree_data()
    return factories.user(OFFICER, factories.VILLAGE)


def at_a_tree(phone: Phone, officer: User) -> None:
    """The officer stands at the first tree of a household, without reception, and has taken its photo."""
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/tree")
    phone.offline()
    phone.camera(factories.picture())
    phone.page.select_option("[name=species]", label="杉木")
    phone.page.fill("[name=size]", "8.2")


def sent_tree(phone: Phone) -> Tree:
    """The one tree, once it is on the server."""
    phone.offline(False)
    wait_for(Photo.objects.exists)
    return Tree.objects.get()


def test_no_position_is_stored_as_none(phone: Phone, officer: User) -> None:
    phone.context.clear_permissions()
    at_a_tree(phone, officer)
    expect(phone.page.locator("#position")).to_have_attribute("data-state", "none")
    phone.tap("#save-now")
    assert phone.taps == 4
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    tree = sent_tree(phone)
    assert (tree.lon, tree.lat, tree.accuracy_m) == (None, None, None)


def test_a_position_of_zero_and_zero_is_none(phone: Phone, officer: User) -> None:
    phone.context.set_geolocation({"latitude": 0, "longitude": 0, "accuracy": 5})
    at_a_tree(phone, officer)
    expect(phone.page.locator("#position")).to_have_attribute("data-state", "none")
    phone.tap("#save-now")
    tree = sent_tree(phone)
    assert (tree.lon, tree.lat, tree.accuracy_m) == (None, None, None)


def test_saving_waits_for_a_good_position_and_then_happens_by_itself(phone: Phone, officer: User) -> None:
    phone.context.set_geolocation({"latitude": 25.5, "longitude": 108.5, "accuracy": POOR})
    at_a_tree(phone, officer)
    expect(phone.page.locator("#position")).to_have_attribute("data-state", "poor")
    phone.tap("#save")
    expect(phone.page.locator("#save.waits")).to_be_visible()
    assert phone.stored("queue") == []
    phone.context.set_geolocation({"latitude": 25.7, "longitude": 108.7, "accuracy": 12})
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    assert phone.taps == 4
    tree = sent_tree(phone)
    assert (str(tree.lon), str(tree.lat), tree.accuracy_m) == ("108.700000", "25.700000", 12)


def test_the_officer_need_not_wait_for_the_position(phone: Phone, officer: User) -> None:
    phone.context.set_geolocation({"latitude": 25.5, "longitude": 108.5, "accuracy": POOR})
    at_a_tree(phone, officer)
    phone.tap("#save-now")
    tree = sent_tree(phone)
    assert (str(tree.lon), tree.accuracy_m) == ("108.500000", POOR)


def test_the_next_tree_does_not_get_the_place_of_the_last_one(phone: Phone, officer: User) -> None:
    at_a_tree(phone, officer)
    phone.tap("#save")
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    phone.context.set_geolocation({"latitude": 25.9123, "longitude": 108.9214, "accuracy": 9})
    expect(phone.page.locator("#position")).to_contain_text("9")
    expect(phone.page.locator("[name=size]")).to_have_value("8.2")
    phone.camera(factories.picture((200, 150)))
    phone.tap("#save")
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    phone.offline(False)
    wait_for(lambda: Photo.objects.count() == 2)
    assert [(str(tree.lon), tree.accuracy_m) for tree in Tree.objects.order_by("ordinal")] == [
        ("108.921000", 7), ("108.921400", 9),
    ]  # fmt: skip


def test_the_girth_gives_the_diameter(phone: Phone, officer: User) -> None:
    at_a_tree(phone, officer)
    phone.page.locator("[data-mode=girth]").tap()
    phone.page.fill("[name=size]", "40")
    expect(phone.page.locator("#dbh-result")).to_contain_text("12.7")
    phone.tap("#save")
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    assert str(sent_tree(phone).dbh_cm) == "12.7"


def test_a_tree_that_is_too_thin_is_not_saved(phone: Phone, officer: User) -> None:
    at_a_tree(phone, officer)
    phone.page.fill("[name=size]", "4.9")
    phone.tap("#save")
    expect(phone.page.locator("[data-field=size] .wrong")).to_contain_text("5")
    assert phone.stored("queue") == []
    phone.page.locator(".step", has_text="+0.1").tap()
    phone.tap("#save")
    expect(phone.page.locator(".has-photo")).to_have_count(0)
    assert len(phone.stored("queue")) == 2


def test_a_tag_leads_to_its_tree_which_is_reported_dead(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    tree = factories.approved_tree(household)
    phone.begin(officer)
    wait_for(lambda: phone.page.evaluate(STORED_TREES) == 1)
    phone.offline()
    phone.page.locator("a[href='#/scan']").tap()
    phone.page.fill("[name=number]", f"{tree.number[-7:-1]}{(int(tree.number[-1]) + 1) % 10}")
    phone.page.locator("form .button").tap()
    expect(phone.page.locator("[data-field=number] .wrong")).to_be_visible()
    phone.page.fill("[name=number]", f"{tree.number[12:15]} {tree.number[15:18]} {tree.number[18]}")
    phone.page.locator("form .button").tap()
    expect(phone.page.locator(".number")).to_have_text(tree.number)

    phone.page.locator("a[href$='/inspect/dead']").tap()
    phone.page.locator("#save").tap()
    expect(phone.page.locator("[data-field=cause] .wrong")).to_be_visible()
    phone.page.locator("[name=cause][value=storm]").check()
    picture = factories.picture((222, 111))
    phone.camera(picture)
    phone.page.locator("#save").tap()
    expect(phone.page.locator(".notice.good")).to_be_visible()
    assert not Inspection.objects.exists()
    phone.offline(False)
    wait_for(lambda: Photo.objects.filter(inspection__isnull=False).exists())
    report = Inspection.objects.get()
    assert (report.tree, report.state, report.cause, report.inspected_by) == (tree, "reported", "storm", officer)
    tree.refresh_from_db()
    assert tree.state == Tree.State.SUSPENDED
    with report.photos.get().original.open() as file:
        assert file.read() == picture


STORED_TREES = """() => new Promise((resolve) => {
    indexedDB.open("field").onsuccess = ({ target: { result: db } }) => {
        db.transaction("kept").objectStore("kept").getAll(IDBKeyRange.bound("trees/", "trees/z")).onsuccess =
            ({ target }) => { db.close(); resolve(target.result.length); };
    };
})"""


def server_says(check: Any, *args: Any, **options: Any) -> bool:
    """Whether the server's check lets it pass."""
    try:
        check(*args, **options)
    except DomainError:
        return False
    return True


def slips(number: str) -> list[str]:
    """The number, and what a tired officer makes of it: one digit wrong, two swapped, one missing."""
    wrong = [
        f"{number[:i]}{(int(number[i]) + 3) % 10}{number[i + 1 :]}" for i in range(len(number) - 1) if number[i] != "X"
    ]
    swapped = [f"{number[:i]}{number[i + 1]}{number[i]}{number[i + 2 :]}" for i in range(len(number) - 2)]
    return [number, number.lower(), *wrong, *swapped, number[:-1], f" {number[:6]} {number[6:]}"]


def test_the_phone_checks_numbers_as_the_server_does(phone: Phone, officer: User) -> None:
    phone.begin(officer)
    people = [villager(seed) for seed in range(5)]
    cards = [number for person in people for number in slips(person.card)]
    codes = [*slips(BANK_CODE), *slips("40371300002" + mod_11_10.calc_check_digit("40371300002"))]
    ids = [number for person in people for number in slips(person.id_number)] + [
        "52263319000230123X",
        "52263320991301001X",
    ]
    tags = slips(tree_number(factories.VILLAGE, 12, 345))
    phones = [*slips(people[0].phone), "１９９１２３４５６７８", "12345678901"]
    found = phone.page.evaluate(
        """async ([ids, cards, codes, tags]) => {
            const checks = await import("/static/field/checks.js");
            return [
                ids.map((text) => checks.checkIdNumber(text) === ""),
                cards.map((text) => checks.checkAccount(text, true) === ""),
                cards.map((text) => checks.checkAccount(text, false) === ""),
                codes.map((text) => checks.checkBankCode(text) === ""),
                tags.map((text) => checks.isTreeNumber(text)),
            ];
        }""",
        [ids, cards, codes, tags, phones],
    )
    assert found == [
        [server_says(check_id_number, text) for text in ids],
        [server_says(check_number, text, is_card=True) for text in cards],
        [server_says(check_number, text, is_card=False) for text in cards],
        [server_says(check_bank_code, text) for text in codes],
        [is_tree_number(text) for text in tags],
    ]
    assert all(0 < sum(column) < len(column) for column in (found[0], found[1], found[3], found[4]))
    assert luhn.is_valid(cards[0])


def test_a_new_version_waits_until_the_officer_taps(phone: Phone, officer: User, settings: Any) -> None:
    phone.begin(officer)
    settings.PHOTO_MAX_BYTES = 1000
    phone.open()
    phone.page.reload()
    offer = phone.page.locator("#notice-update button")
    expect(offer).to_be_visible()
    assert phone.page.evaluate(LIMIT) > 1000
    with phone.page.expect_navigation():
        offer.tap()
    phone.ready()
    expect(offer).to_have_count(0)
    phone.offline()
    phone.page.reload()
    assert phone.page.evaluate(LIMIT) == 1000


def test_the_language_changes_and_stays_without_reception(phone: Phone, officer: User) -> None:
    phone.begin(officer)
    for code in ("en", "zh-hans"):
        phone.page.locator("#language").tap()
        expect(phone.page.locator("html")).to_have_attribute("lang", code)
        phone.ready()
    phone.offline()
    phone.page.reload()
    expect(phone.page.locator("html")).to_have_attribute("lang", "zh-hans")


def test_a_photo_that_is_too_large_is_said_at_once(phone: Phone, officer: User, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/tree")
    with phone.page.expect_file_chooser() as chooser:
        phone.tap(".shutter")
    chooser.value.set_files({"name": "tree.jpg", "mimeType": "image/jpeg", "buffer": b"0" * 1001})
    expect(phone.page.locator(".photo .wrong")).to_be_visible()
    phone.tap("#save")
    assert phone.stored("queue") == []


LIMIT = "() => JSON.parse(document.getElementById('app').textContent).photo_max_bytes"
