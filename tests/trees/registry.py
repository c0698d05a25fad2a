"""What devices and browsers send to the registry, what pages say, and what is stored."""

from html.parser import HTMLParser
from typing import Any

from django.db.models import Sum
from django.http import HttpResponse
from django.test import Client

from carbonsink.ledger.models import Account
from carbonsink.states import StateChange
from tests import factories
from trees.models import (
    Consent,
    Correction,
    Division,
    Enrolment,
    Household,
    Inspection,
    Photo,
    Review,
    Tree,
    Upload,
    UploadPart,
)  # fmt: skip


def stored() -> dict[str, Any]:
    """How much is stored of everything that a registration could leave behind."""
    counts = {model.__name__: model._base_manager.count() for model in (
        Household, Consent, Tree, Photo, Enrolment, Review, Account, StateChange, Correction, Inspection, Upload,
        UploadPart,
    )}  # fmt: skip
    counts["ordinals"] = Division.objects.aggregate(n=Sum("households_numbered"))["n"]
    counts["tree ordinals"] = Household.objects.aggregate(n=Sum("trees_numbered"))["n"]
    counts["evidence"] = len(evidence())
    return counts


def evidence() -> list[str]:
    """Names of the originals in the store."""
    from django.core.files.storage import storages

    store = storages["evidence"]
    if not store.exists(""):
        return []
    folders, _files = store.listdir("")
    return [f"{folder}/{name}" for folder in folders for name in store.listdir(folder)[1]]


def household_body(**changes: Any) -> dict[str, Any]:
    """A household as JSON."""
    data = factories.household_data()
    data = {key: value if isinstance(value, bool) else str(value) for key, value in data.items()}
    return {**data, **changes}


def tree_body(owner: Household, **changes: Any) -> dict[str, Any]:
    """A tree as JSON."""
    data = factories.tree_data()
    species = data.pop("species").scientific_name
    body = {key: value if value is None or isinstance(value, int) else str(value) for key, value in data.items()}
    return {**body, "species": species, "household": owner.public_id, **changes}


def household_form(**changes: Any) -> dict[str, Any]:
    """A household as the page's form sends it."""
    data = household_body()
    data["village"] = data.pop("village_code")
    data["consent_signed"] = "on"
    return {key: value for key, value in {**data, **changes}.items() if value is not None}


def tree_form(**changes: Any) -> dict[str, Any]:
    """A tree as the page's form sends it."""
    data = factories.tree_data()
    data["species"] = data["species"].pk
    return {key: str(value) for key, value in {**data, **changes}.items() if value is not None}


def post(client: Client, path: str, body: Any) -> Any:
    """Sends JSON to the API."""
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


class Page(HTMLParser):
    """What a page says in alerts and next to fields, and what its forms hold."""

    def __init__(self, answer: HttpResponse) -> None:
        super().__init__()
        self.said: list[str] = []
        self.values: dict[str, str] = {}
        self._inside: list[bool] = []
        self._select = ""
        self.text = answer.content.decode()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("div", "ul", "p", "li"):
            self._inside.append(self._speaks(found))
        name = found.get("name") or ""
        if tag == "select":
            self._select = name
        if tag == "option" and "selected" in found:
            self.values[self._select] = found.get("value") or ""
        if tag == "input" and (found.get("type") not in ("radio", "checkbox") or "checked" in found):
            self.values[name] = found.get("value") or ""

    @staticmethod
    def _speaks(attrs: dict[str, str | None]) -> bool:
        classes = (attrs.get("class") or "").split()
        return attrs.get("role") == "alert" or "errorlist" in classes or "notice-error" in classes

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "ul", "p", "li") and self._inside:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if any(self._inside) and data.strip():
            self.said.append(" ".join(data.split()))
