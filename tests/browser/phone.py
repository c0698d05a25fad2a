"""An officer's phone: a real Chromium with a memory of its own, which loses reception, is killed and opened again."""

import re
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import BrowserContext, BrowserType, Locator, Page, expect

from carbonsink.accounts.models import User
from payouts.demo.people import BANK_CODE, BANK_NAME, Villager

# What a phone without reception, or with a record the server refuses, writes to its console.
EXPECTED = re.compile(r"ERR_INTERNET_DISCONNECTED|ERR_FAILED|status of (4\d\d|503)|WebSocket")
GOOD, POOR = 7, 60
CONTROLLED = """() => new Promise((resolve) => {
    if (navigator.serviceWorker.controller) resolve();
    else navigator.serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
})"""

# Being offline is only what the pages are told: the browser knows that it has a net, and would send in the background
# at any moment what it is asked to send when there is one. Here it remembers that it was asked; a test makes it send.
NOT_BY_ITSELF = """
    globalThis.askedToSync = [];
    if (globalThis.SyncManager) {
        SyncManager.prototype.register = (tag) => { askedToSync.push(tag); return Promise.resolve(); };
    }
"""


class Phone:
    """`tap` counts what the officer's thumb does; `camera` counts the two taps of the phone's own camera."""

    def __init__(self, chromium: BrowserType, folder: Path, base: str, **options: Any) -> None:
        self.chromium, self.folder, self.base, self.options = chromium, folder, base, options
        self.taps = 0
        self.wrong: list[str] = []
        self.geolocation: dict[str, float] | None = {"latitude": 25.912, "longitude": 108.921, "accuracy": GOOD}
        self.context: BrowserContext
        self.page: Page

    def start(self) -> "Phone":
        """Starts the browser; what it kept on the disk is there again."""
        self.context = self.chromium.launch_persistent_context(
            str(self.folder),
            viewport={"width": 390, "height": 844},
            locale="zh-CN",
            has_touch=True,
            geolocation=self.geolocation,  # type: ignore[arg-type]
            permissions=["geolocation"] if self.geolocation else [],
            chromium_sandbox=False,
            **self.options,
        )
        self.context.set_default_timeout(30_000)
        self.context.add_init_script(NOT_BY_ITSELF)
        self.page = self.watched(self.context.pages[0])
        return self

    def watched(self, page: Page) -> Page:
        """A page whose errors are remembered."""
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        return page

    def kill(self) -> None:
        """The phone closes the app without a word."""
        self.context.close()

    def sign_in(self, officer: User) -> None:
        """The officer's session, as the sign-in page would give it."""
        client = Client()
        client.force_login(officer)
        self.context.add_cookies(
            [
                {
                    "name": "sessionid",
                    "value": client.cookies["sessionid"].value,
                    "url": self.base,
                    "expires": time.time() + settings.SESSION_COOKIE_AGE,
                }
            ]
        )

    def open(self, hash_: str = "#/") -> Page:
        """Opens the app, or another of its screens; of that, waits until it has taken the place of the one before."""
        self.page.goto(f"{self.base}/field/{hash_}")
        if hash_ != "#/":
            expect(self.page.locator("#screen")).to_have_attribute("data-screen", hash_)
        return self.page

    def begin(self, officer: User) -> None:
        """The officer opens the app where there is reception: from now on it works without."""
        self.sign_in(officer)
        self.open()
        self.ready()

    def ready(self) -> None:
        """The app is on the phone, and has asked the server for the day."""
        expect(self.page.locator(".counts")).to_be_visible()
        self.page.evaluate(CONTROLLED)
        expect(self.page.locator("#sync")).to_have_attribute("data-state", "sent")

    def offline(self, off: bool = True) -> None:
        """No reception, or reception again."""
        self.context.set_offline(off)

    def tap(self, target: str | Locator) -> None:
        """One tap."""
        self.taps += 1
        (self.page.locator(target) if isinstance(target, str) else target).tap()

    def camera(self, picture: bytes, name: str = "tree.jpg") -> None:
        """Taps on the photo button, and takes the picture with the phone's camera (shutter and OK)."""
        with self.page.expect_file_chooser() as chooser:
            self.tap(".shutter")
        self.taps += 2
        chooser.value.set_files({"name": name, "mimeType": "image/jpeg", "buffer": picture})
        expect(self.page.locator(".has-photo")).to_be_visible()

    def counts(self, registered: int, waiting: int, confirmed: int) -> None:
        """Waits until the counter shows these figures."""
        for kind, value in {"registered": registered, "waiting": waiting, "confirmed": confirmed}.items():
            expect(self.page.locator(f"[data-count={kind}] strong").first).to_have_text(str(value), timeout=60_000)

    def stored(self, store: str) -> list[dict[str, Any]]:
        """What is in one of the phone's stores."""
        return self.page.evaluate(
            """(name) => new Promise((resolve, reject) => {
                const opening = indexedDB.open("field");
                opening.onsuccess = () => {
                    const asked = opening.result.transaction(name).objectStore(name).getAll();
                    asked.onsuccess = () => { opening.result.close(); resolve(asked.result); };
                    asked.onerror = () => reject(asked.error);
                };
            })""",
            store,
        )

    def sign(self) -> None:
        """The head of household signs on the screen."""
        box = self.page.locator("canvas.signature").bounding_box()
        assert box is not None
        mouse = self.page.mouse
        mouse.move(box["x"] + 30, box["y"] + 40)
        mouse.down()
        for step in range(12):
            mouse.move(box["x"] + 30 + 20 * step, box["y"] + 40 + 60 * (step % 2))
        mouse.up()

    def register_household(self, person: Villager, *, account: bool = True) -> None:
        """Consent, signature, details and account, as an officer goes through them."""
        page = self.page
        page.locator("a[href='#/new-household/1']").tap()
        page.locator(".button.huge").tap()
        self.sign()
        page.locator(".button.huge:enabled").tap()
        for name, value in {"head_name": person.name, "id_number": person.id_number, "phone": person.phone}.items():
            page.fill(f"[name={name}]", value)
        page.locator("[name=category][value=poor]").check()
        page.fill("[name=area_mu]", "1.5")
        page.locator("[name=tenure][value=returned_farmland]").check()
        page.locator("form .button.huge").tap()
        if not account:
            page.locator("main > .button.quiet").tap()
        else:
            page.fill("[name=number]", person.card)
            page.fill("[name=bank_name]", BANK_NAME)
            page.fill("[name=bank_code]", BANK_CODE)
            page.locator("form .button.huge").tap()
        page.wait_for_url("**/field/#/household/*")
        expect(page.locator("a[href$='/tree']")).to_be_visible()

    def register_tree(self, picture: bytes, *, first: bool = False) -> None:
        """The next tree, on its screen."""
        before = len(self.stored("queue"))
        self.camera(picture)
        if first:
            self.page.select_option("[name=species]", label="杉木")
            self.page.fill("[name=size]", "8.2")
        self.tap("#save")
        expect(self.page.locator(".has-photo")).to_have_count(0)
        assert len(self.stored("queue")) == before + 2
