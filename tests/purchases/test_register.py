"""The public register: found by who knows what to look for, and nobody learns of people by walking the serials."""

import html
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from carbonsink import limits
from purchases import holding, register
from purchases.models import Buyer, Certificate, Organisation
from tests import factories

pytestmark = pytest.mark.django_db
YEAR = timezone.localdate().year
FIRM = "贵州苗岭茶业有限公司"


def certificate(quantity: int = 1, **choice: Any) -> Certificate:
    made = factories.paid_order(quantity, **choice).certificate
    assert made is not None
    return made


@pytest.fixture
def issued() -> list[Certificate]:
    """Those of a person, of somebody anonymous, of a firm, and a retired one of the person."""
    factories.market(9)
    firm = Organisation.objects.create(code="91520000214400000X", name=FIRM, kind="enterprise")
    made = [
        certificate(2, holder="王小明"),
        certificate(1, holder=""),
        certificate(3, holder=FIRM, organisation=firm, contact_person="李四"),
        certificate(1, holder="王小明"),
    ]
    holding.retire(made[3], beneficiary="赵六七", purpose="2026年婚礼")
    return made


def api(**wanted: Any) -> Any:
    return Client().get("/api/v1/register", wanted)


def page(**wanted: Any) -> str:
    answer = Client(headers={"accept-language": "en"}).get("/register/", wanted)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_a_serial_tells_how_it_stands_and_masks_a_person(issued: list[Certificate]) -> None:
    (entry,) = api(serial=f" {issued[0].serial.lower()} ").json()["entries"]
    assert entry == {
        "serial": issued[0].serial, "vintage": YEAR, "trees": 2, "kg": 20, "holder": "王*明", "standing": "valid",
        "issued_on": timezone.localdate().isoformat(), "retired_on": None, "beneficiary": "", "purpose": "",
    }  # fmt: skip
    shown = page(serial=issued[0].serial)
    assert ("王*明" in shown, "王小明" in shown, "有效" in shown) == (True, False, True)


def test_a_retirement_is_told_without_the_persons_name(issued: list[Certificate]) -> None:
    (entry,) = api(serial=issued[3].serial).json()["entries"]
    assert (entry["standing"], entry["beneficiary"], entry["purpose"]) == ("retired", "赵*七", "2026年婚礼")
    assert entry["retired_on"] == timezone.localdate().isoformat()
    assert "赵六七" not in page(serial=issued[3].serial)


def test_organisations_are_named_and_the_anonymous_stay_so(issued: list[Certificate]) -> None:
    assert [api(serial=one.serial).json()["entries"][0]["holder"] for one in issued[1:3]] == ["", FIRM]
    assert "anonymous" in page(serial=issued[1].serial)


def test_who_types_the_exact_name_finds_it_unmasked(issued: list[Certificate]) -> None:
    found = api(holder="王小明").json()["entries"]
    assert [(one["serial"], one["holder"]) for one in found] == [
        (issued[3].serial, "王小明"),
        (issued[0].serial, "王小明"),
    ]
    for part in ("王小", "王*明", "小明", "王小明%"):
        assert api(holder=part).json()["entries"] == []
    answer = api(holder="王")
    assert (answer.status_code, answer.json()["code"]) == (400, "short_name")


def test_vintage_and_state_narrow_the_search(issued: list[Certificate]) -> None:
    assert len(api(vintage=YEAR).json()["entries"]) == 4
    assert api(vintage=YEAR - 1).json()["entries"] == []
    assert [one["serial"] for one in api(vintage=YEAR, state="retired").json()["entries"]] == [issued[3].serial]
    assert len(api(holder="王小明", state="valid").json()["entries"]) == 1


def test_pages_follow_each_other_without_gaps(issued: list[Certificate], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "PAGE", 3)
    first = api().json()
    second = api(after=first["after"]).json()
    serials = [one["serial"] for one in first["entries"] + second["entries"]]
    assert serials == sorted((one.serial for one in issued), reverse=True)
    assert (len(first["entries"]), second["after"]) == (3, "")
    shown = page(vintage=YEAR)
    assert f'<option value="{YEAR}" selected>{YEAR}</option>' in shown
    assert f'href="?vintage={YEAR}&after={first["after"]}"' in shown


def test_nothing_that_leads_to_somebodys_page_is_told(issued: list[Certificate]) -> None:
    given = holding.hand_on(
        issued[0], to=Buyer.objects.create(contact="friend@example.org"), holder="朋友甲", trees=1, reason="gift"
    )
    said = page(vintage=YEAR) + api().content.decode() + page(serial=given.serial)
    for one in Certificate.objects.select_related("order"):
        for secret in (one.token, one.order.token, one.order.number):
            assert secret not in said
    assert "李四" not in said
    assert "朋友甲" not in said


def test_the_totals_count_what_is_valid_and_what_is_retired(issued: list[Certificate]) -> None:
    assert register.totals() == [register.Totals(YEAR, 3, 6, 1, 1)]
    assert Client().get("/register/").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["serial=%00", "holder=%00%00", "holder=%ED%A0%80x", "vintage=99999999999", "vintage=x", "state=huge", "after=%00",
     "serial=" + "x" * 500],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/register/", "/api/v1/register"])
def test_nonsense_is_no_error_of_ours(path: str, query: str) -> None:
    assert Client().get(f"{path}?{query}").status_code in (200, 400)


@pytest.mark.parametrize("path", ["/register/?vintage=", "/api/v1/register"])
def test_whoever_asks_too_often_waits(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.time, "time", lambda: 1_000_000.0)
    answers = [Client(REMOTE_ADDR="203.0.113.5").get(path).status_code for _ in range(61)]
    assert answers == [200] * 60 + [429]
    assert Client(REMOTE_ADDR="203.0.113.6").get(path).status_code == 200
    assert Client(REMOTE_ADDR="203.0.113.5").get("/register/").status_code == 200  # Its totals stay to be read.


def test_the_register_stands_without_a_cache(settings: Any, issued: list[Certificate]) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert f"{issued[0].serial}" in page(vintage=YEAR)
