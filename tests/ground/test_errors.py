"""What a user can cause is one sentence with a status, on a page as in the API."""

import re

import pytest
from django.test import Client

from carbonsink.api import body_hash
from carbonsink.errors import DomainError

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.ground.urls")]


@pytest.fixture
def english() -> Client:
    return Client(headers={"accept-language": "en"})


def test_a_page_shows_the_sentence_escaped_in_an_alert_with_its_status(english: Client) -> None:
    answer = english.get("/test/refuse/")
    assert answer.status_code == 409
    alert = re.search(r'role="alert"[^>]*>(.*?)</', answer.content.decode(), re.S)
    assert alert is not None
    assert alert[1] == "Only 40 &lt;trees&gt; are left."


def test_the_api_answers_code_message_and_details(english: Client) -> None:
    answer = english.get("/api/v1/test/domain")
    assert (answer.status_code, answer.json()) == (
        409, {"code": "sold_out", "message": "Only 40 trees are left.", "left": 40},
    )  # fmt: skip


def test_the_api_says_nothing_about_what_is_missing_or_why_it_is_denied(english: Client) -> None:
    missing, denied = english.get("/api/v1/test/missing"), english.get("/api/v1/test/denied")
    assert (missing.status_code, missing.json()) == (
        404, {"code": "not_found", "message": "There is nothing at this address, or it is not yours to see."},
    )  # fmt: skip
    assert (denied.status_code, denied.json()["code"]) == (403, "permission_denied")
    assert "internal reason" not in denied.content.decode()


def test_broken_json_and_wrong_methods_have_the_same_shape(english: Client) -> None:
    broken = english.post("/api/v1/test/x", b"{", content_type="application/json")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    wrong = english.put("/api/v1/test/x", b"{}", content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    media = english.post("/api/v1/test/x", b"<x/>", content_type="application/xml")
    assert (media.status_code, media.json()["code"]) == (415, "unsupported_media_type")
    assert all(set(answer.json()) == {"code", "message"} for answer in (broken, wrong, media))


def test_the_sentence_comes_in_the_user_s_language() -> None:
    chinese = Client(headers={"accept-language": "zh-CN"}).get("/api/v1/test/missing").json()["message"]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert "There is nothing" not in chinese


@pytest.mark.parametrize("path", ["/h/%00/", "/trees/%00/", "/areas/%00/", "/c/a%00b/", "/api/v1/orders/%00"])
def test_an_address_with_a_nul_leads_nowhere(english: Client, path: str) -> None:
    assert english.get(path).status_code == 404


def test_a_bug_is_a_500_page_without_a_trace(english: Client) -> None:
    english.raise_request_exception = False
    answer = english.get("/test/crash/")
    assert answer.status_code == 500
    assert "a bug" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


def test_an_error_keeps_what_it_was_given() -> None:
    error = DomainError("code", "Sentence.", left=3)
    assert (error.code, error.message, str(error), error.status, error.details) == (
        "code", "Sentence.", "Sentence.", 400, {"left": 3},
    )  # fmt: skip


def test_the_hash_of_a_body_knows_content_from_order() -> None:
    assert body_hash({"a": 1, "b": [1, 2]}) == body_hash({"b": [1, 2], "a": 1})
    different = [{"a": 1}, {"a": "1"}, {"a": None}, {"a": [1]}, {"b": 1}, {}, {"a": 1, "b": 1}, {"a": "滚"}]
    assert len({body_hash(value) for value in different}) == len(different)
