"""An officer's day with the field app: no reception, thirty trees, and each of them once on the server."""

import hashlib
import io
import json
import re
import time
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Route

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER
from payouts.demo.people import Villager, villager
from payouts.models import BankAccount
from tests import factories
from tests.browser.phone import GOOD, Phone
from tests.processes import wait_for
from tests.trees.stand import LAT, LON
from trees.models import Consent, Household, Photo, Tree, UploadPart
from trees.uploads import PART_MAX_BYTES

pytestmark = pytest.mark.django_db(transaction=True)
TREES = 30
MOST_TAPS, MOST_SECONDS = 4, 10


@pytest.fixture
def officer() -> User:
    """An officer, and all that the office has prepared."""
    factories.household_data()
    factories.tree_data()
    return factories.user(OFFICER, factories.VILLAGE)


def large_picture() -> bytes:
    """A photo of some 2 MB, which goes up in several parts."""
    buffer = io.BytesIO()
    Image.effect_noise((1600, 1200), 90).save(buffer, "JPEG", quality=92)
    assert buffer.tell() > 1024 * 1024
    return buffer.getvalue()


def arrived(pictures: list[bytes]) -> None:
    """Each tree and each photo is on the server once, and every photo is what the camera gave."""
    assert Tree.objects.count() == len(pictures)
    sent = {hashlib.sha256(picture).hexdigest(): picture for picture in pictures}
    assert sorted(Photo.objects.values_list("sha256", flat=True)) == sorted(sent)
    for photo in Photo.objects.all():
        with photo.original.open() as file:
            assert file.read() == sent[photo.sha256]
    assert Tree.objects.filter(photos=None).count() == 0


def nothing_personal(phone: Phone, person: Villager) -> None:
    """What the phone still has says nothing of the villager."""
    left = json.dumps([phone.stored(name) for name in ("queue", "kept", "photos")], ensure_ascii=False)
    for personal in (person.name, person.id_number, person.phone, person.card, "data:image"):
        assert personal not in left


def dispatch_background_sync(phone: Phone) -> None:
    """What the browser does when reception returns while the app is closed."""
    session = phone.context.new_cdp_session(phone.page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: found.extend(one["registrationId"] for one in event["registrations"]),
    )
    session.send("ServiceWorker.enable")
    while not found:
        phone.page.wait_for_timeout(20)
    session.send(
        "ServiceWorker.dispatchSyncEvent",
        {"origin": phone.base, "registrationId": found[0], "tag": "field", "lastChance": False},
    )


def test_a_household_and_thirty_trees_without_reception_are_on_the_server_once(phone: Phone, officer: User) -> None:
    phone.begin(officer)
    phone.offline()
    phone.page.reload()
    person = villager(7)
    phone.register_household(person)
    phone.page.locator("a[href$='/tree']").tap()
    pictures = [large_picture(), *(factories.picture((240 + n, 180)) for n in range(TREES - 1))]
    for number, picture in enumerate(pictures):
        phone.taps, begun = 0, time.monotonic()
        phone.register_tree(picture, first=number == 0)
        assert phone.taps <= MOST_TAPS
        assert time.monotonic() - begun < MOST_SECONDS
    assert "field" in phone.page.evaluate("askedToSync")
    phone.open()
    phone.counts(TREES, TREES, 0)
    assert (Household.objects.count(), Tree.objects.count(), len(phone.stored("photos"))) == (0, 0, TREES)

    # The app is closed when reception returns: the browser wakes the service worker.
    phone.page.goto("about:blank")
    phone.offline(False)
    dispatch_background_sync(phone)
    wait_for(lambda: Photo.objects.count() == TREES, seconds=60)
    arrived(pictures)
    household = Household.objects.get()
    assert (household.head_name, household.id_number, household.registered_by) == (
        person.name,
        person.id_number,
        officer,
    )
    assert Consent.objects.get().household == household
    assert BankAccount.objects.get().number == person.card
    assert set(Tree.objects.values_list("lon", "lat", "accuracy_m", "dbh_cm")) == {
        (LON, LAT, GOOD, Tree.objects.all()[0].dbh_cm)
    }
    assert str(Tree.objects.all()[0].dbh_cm) == "8.2"
    assert Tree.objects.filter(captured_at=None).count() == 0

    phone.open()
    phone.counts(TREES, 0, TREES)
    assert phone.stored("photos") == []
    nothing_personal(phone, person)


def test_a_page_killed_in_mid_sync_goes_on_where_it_stopped(phone: Phone, officer: User) -> None:
    household = factories.household(officer)
    phone.begin(officer)
    phone.open(f"#/household/{household.public_id}/tree")
    phone.offline()
    picture = large_picture()
    phone.register_tree(picture, first=True)
    slow = phone.context.new_cdp_session(phone.page)
    slow.send("Network.enable")
    phone.offline(False)
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    wait_for(lambda: UploadPart.objects.count() >= 2, seconds=30)
    phone.kill()
    bytes_there = sum(len(part.content) for part in UploadPart.objects.all())
    assert bytes_there >= 2 * PART_MAX_BYTES
    assert Photo.objects.count() == 0

    phone.start()
    offsets: list[int] = []
    phone.context.on("request", lambda request: offsets.extend(map(int, re.findall(r"offset=(\d+)", request.url))))
    phone.open()
    phone.counts(1, 0, 1)
    assert [offset for offset in offsets if offset < bytes_there] == []
    arrived([picture])
    assert phone.stored("photos") == []


def test_everything_sent_again_from_two_tabs_at_once_is_there_once(phone: Phone, officer: User) -> None:
    phone.begin(officer)
    phone.offline()
    person = villager(8)
    phone.register_household(person)
    phone.page.locator("a[href$='/tree']").tap()
    pictures = [factories.picture((240 + n, 180)) for n in range(3)]
    for number, picture in enumerate(pictures):
        phone.register_tree(picture, first=number == 0)
    queue, photos = phone.stored("queue"), phone.page.evaluate(COPY_PHOTOS)
    second = phone.watched(phone.context.new_page())
    second.goto(f"{phone.base}/field/")
    phone.open()
    phone.offline(False)
    phone.counts(3, 0, 3)
    before = numbers_on_server()

    # As if the phone had heard none of the answers: all of it goes once more, from two tabs, without their lock. A tab
    # that has not quite ended its first round sends at once, so all is ready before the records are there again.
    held: list[Route] = []

    def hold(route: Route) -> None:
        """Neither tab's household goes before both are on their way."""
        held.append(route)
        if len(held) >= 2:
            for waiting in held if len(held) == 2 else [route]:
                waiting.continue_()

    for page in (phone.page, second):
        page.route("**/api/v1/households", hold)
        page.evaluate("Object.defineProperty(navigator, 'locks', { value: undefined })")
    phone.page.evaluate(RESTORE, [queue, photos])
    for page in (phone.page, second):
        page.evaluate("dispatchEvent(new Event('online'))")
    wait_for(lambda: {row["state"] for row in phone.stored("queue")} == {"done"}, seconds=30)
    phone.counts(3, 0, 3)
    assert len(held) >= 2
    arrived(pictures)
    assert numbers_on_server() == before
    nothing_personal(phone, person)


COPY_PHOTOS = """() => new Promise((resolve) => {
    indexedDB.open("field").onsuccess = ({ target: { result: db } }) => {
        const store = db.transaction("photos").objectStore("photos"), all = [];
        store.openCursor().onsuccess = async ({ target: { result: cursor } }) => {
            if (cursor) { all.push([cursor.key, cursor.value]); cursor.continue(); return; }
            db.close();
            resolve(await Promise.all(all.map(async ([key, blob]) =>
                [key, Array.from(new Uint8Array(await blob.arrayBuffer()))])));
        };
    };
})"""
RESTORE = """([rows, photos]) => new Promise((resolve) => {
    indexedDB.open("field").onsuccess = ({ target: { result: db } }) => {
        const work = db.transaction(["queue", "photos"], "readwrite");
        rows.forEach((row) => work.objectStore("queue").put(row));
        photos.forEach(([key, bytes]) => work.objectStore("photos").put(new Blob([new Uint8Array(bytes)]), key));
        work.oncomplete = () => { db.close(); resolve(); };
    };
})"""


def numbers_on_server() -> dict[str, Any]:
    """How much of each there is, and under which numbers."""
    return {
        "households": list(Household.objects.values_list("public_id", flat=True)),
        "accounts": list(BankAccount.objects.values_list("pk", flat=True)),
        "trees": sorted(Tree.objects.values_list("number", "revision")),
        "photos": sorted(Photo.objects.values_list("pk", flat=True)),
    }


def test_a_browser_without_module_workers_works_without_reception_and_sends_on_opening(
    phone: Phone, officer: User
) -> None:
    household = factories.household(officer)
    phone.context.add_init_script(OLD_BROWSER)
    phone.begin(officer)
    assert "module" not in phone.page.evaluate("navigator.serviceWorker.controller.scriptURL")
    phone.offline()
    phone.page.reload()
    phone.open(f"#/household/{household.public_id}/tree")
    picture = factories.picture()
    phone.register_tree(picture, first=True)
    phone.page.goto("about:blank")
    phone.offline(False)
    assert not Tree.objects.exists()
    phone.open()
    phone.counts(1, 0, 1)
    arrived([picture])


OLD_BROWSER = """
    if (globalThis.ServiceWorkerContainer) {
        const { register } = ServiceWorkerContainer.prototype;
        ServiceWorkerContainer.prototype.register = function (address, options) {
            return options.type === "module" ? Promise.reject(new TypeError()) : register.call(this, address, options);
        };
        delete ServiceWorkerRegistration.prototype.sync;
    }
"""
