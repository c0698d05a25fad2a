"""The field app's page, its service worker and its manifest: who gets them, and that a change makes a new version."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.test import Client
from PIL import Image

from carbonsink.accounts.roles import FINANCE, OFFICER, REVIEWER
from tests import factories
from trees import shell
from trees.wording import CHOICES, TEXTS

pytestmark = pytest.mark.django_db
FOLDER = Path(project.BASE_DIR) / "static" / "field"
SCRIPTS = sorted(FOLDER.glob("*.js"))


@pytest.fixture
def officer(settings: Any, client: Client) -> Client:
    factories.fast_hashing(settings)
    client.force_login(factories.user(OFFICER))
    return client


def shell_of(client: Client, **data: str) -> dict[str, Any]:
    """What the service worker says it consists of."""
    answer = client.get("/field/sw.js", data)
    found = re.search(r"^const SHELL = (\{.*\});$", answer.content.decode(), re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_only_officers_get_the_app(client: Client, settings: Any) -> None:
    factories.fast_hashing(settings)
    assert client.get("/field/")["Location"] == "/sign-in/?next=/field/"
    for role in (REVIEWER, FINANCE):
        client.force_login(factories.user(role))
        assert client.get("/field/").status_code == 404
    client.force_login(factories.user(OFFICER))
    assert client.get("/field/").status_code == 200


def test_the_page_that_phones_keep_says_nothing_of_whoever_loaded_it(officer: Client) -> None:
    page = officer.get("/field/").content.decode()
    assert "officer" in str(officer.get("/api/v1/field/session").content)
    other = Client()
    other.force_login(factories.user(OFFICER, "522631"))
    assert other.get("/field/").content.decode() == page
    assert "csrf" not in page.lower()
    assert "nonce" not in page
    assert not re.search(r"<script(?![^>]*(src=|application/json))|\son\w+=|<style|\sstyle=", page)


def test_every_file_of_the_app_is_kept_and_there(officer: Client) -> None:
    scripts = {path.name for path in SCRIPTS} - {"worker.js"}
    assert set(shell.FILES) == scripts | {"field.css", "icon.svg"}
    assert shell_of(officer)["files"] == [f"/static/field/{name}" for name in shell.FILES]
    imported = {name for path in SCRIPTS for name in re.findall(r'from "\./(\w+\.js)"', path.read_text())}
    assert imported <= scripts


def test_another_content_or_language_is_another_version(officer: Client, settings: Any) -> None:
    before = shell_of(officer)["version"]
    assert shell_of(officer)["version"] == before
    assert shell_of(officer, module="1")["version"] == before
    english = shell_of(officer, language="en")
    assert english["version"] != before
    assert 'lang="en"' in officer.get(english["source"]).content.decode()
    assert 'lang="zh-hans"' in officer.get(shell_of(officer)["source"]).content.decode()
    settings.PHOTO_MAX_BYTES -= 1
    assert shell_of(officer)["version"] not in (before, english["version"])


def test_the_worker_sends_by_itself_only_where_workers_can_be_modules(client: Client) -> None:
    module = client.get("/field/sw.js?module=1")
    assert module["Content-Type"] == "text/javascript"
    assert module["Cache-Control"] == "no-cache"
    assert module.content.decode().startswith('import { sync } from "/static/field/sync.js";')
    assert "import " not in client.get("/field/sw.js").content.decode().split("\n", 1)[0]


def test_the_policy_lets_photos_be_shown_and_nothing_else_in(officer: Client) -> None:
    rules = dict(rule.split(" ", 1) for rule in officer.get("/field/")["Content-Security-Policy"].split("; "))
    assert rules["img-src"] == "'self' data: blob:"
    for name in ("script-src", "connect-src", "worker-src", "manifest-src"):
        assert rules[name] == "'self'"


def test_the_manifest_makes_the_app_installable(client: Client) -> None:
    manifest = client.get("/field/manifest.webmanifest").json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/field/", "/field/", "standalone")
    for icon in manifest["icons"]:
        with Image.open(FOLDER / Path(icon["src"]).name) as picture:
            assert f"{picture.width}x{picture.height}" == icon["sizes"]


def test_every_text_of_the_app_is_used_and_every_used_one_is_there() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    words = set(re.findall(r'"([a-z_]+)"', source)) | {f"report_{value}" for value in CHOICES["condition"].values}
    assert set(re.findall(r'\bt\(\s*"([a-z_]+)"', source)) - set(TEXTS) == set()
    assert set(TEXTS) - words == set()
