"""Real Chromium, at phone size. Without one the tests are skipped, visibly."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.phone import EXPECTED, Phone
from tests.purchases import paper

# How long a page may take on a busy machine, in milliseconds.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a browser says of a form that is shown again with what is wrong in it.
REFUSED = re.compile(r"status of 4(00|09)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no chromium on this machine: apt-get install chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a worker."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS, chromium_sandbox=False)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone's page, which must load all its files and break no rule of the content security policy."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        locale="zh-CN",
        has_touch=True,
        geolocation={"latitude": 25.912, "longitude": 108.921, "accuracy": 7},
        permissions=["geolocation"],
    )
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None)
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()
    assert [text for text in wrong if not REFUSED.search(text)] == []


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens browsers of their own for one visitor after the other: visit() a desktop, visit(phone=True) a phone. No
    page of theirs may write an error to the console, throw one, or lack a file; a refused form is none."""
    contexts, wrong = [], []

    def open_page(*, phone: bool = False) -> Page:
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        agent = paper.PHONE if phone else paper.DESKTOP
        context = browser.new_context(viewport=size, locale="zh-CN", has_touch=phone, user_agent=agent)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(f"{said.text} {said.location}") if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.set_default_timeout(PATIENCE)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in wrong if not REFUSED.search(text)] == []


@pytest.fixture
def phone(browser: Browser, live_server: Any, tmp_path: Path) -> Iterator[Phone]:
    """An officer's phone, on which nothing may go wrong but what having no reception brings."""
    made = Phone(browser.browser_type, tmp_path / "phone", live_server.url, executable_path=CHROMIUM, args=ARGS).start()
    yield made
    made.kill()
    assert [text for text in made.wrong if not EXPECTED.search(text)] == []
