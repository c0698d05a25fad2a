"""Photos that arrive in parts: resumed, sent twice, damaged on the way, too many, and two phones' tabs at once."""

import hashlib
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import evidence, post
from trees import review, uploads
from trees.inspections import record_inspection
from trees.models import Photo, Tree, Upload, UploadPart
from trees.tasks import drop_old_uploads

CONTENT = factories.picture((900, 700), "PNG", compress_level=0)  # 1.9 MB: eight parts.
SHA = hashlib.sha256(CONTENT).hexdigest()
PART = uploads.PART_MAX_BYTES


def begin(client: Client, of: Tree, content: bytes = CONTENT, **changes: Any) -> Any:
    sha = hashlib.sha256(content).hexdigest()
    return post(client, "uploads", {"tree": of.number, "sha256": sha, "size": len(content), **changes})


def put(client: Client, tree: Tree | str, offset: int, part: bytes | None = None, sha: str = SHA) -> Any:
    reference = tree if isinstance(tree, str) else tree.number
    content = CONTENT[offset : offset + PART] if part is None else part
    path = f"/api/v1/uploads/{sha}?tree={reference}&offset={offset}"
    return client.put(path, content, content_type="application/octet-stream")


def send(client: Client, tree: Tree) -> Any:
    answer = begin(client, tree)
    while answer.json()["photo"] is None:
        answer = put(client, tree, answer.json()["offset"])
    return answer


def test_a_photo_arrives_in_parts_and_is_confirmed_by_its_hash(field: Client, tree: Tree, officer: User) -> None:
    answer = begin(field, tree)
    assert (answer.status_code, answer.json()) == (200, {"offset": 0, "photo": None})
    for offset in range(0, len(CONTENT) - PART, PART):
        assert put(field, tree, offset).json() == {"offset": offset + PART, "photo": None}
    assert (Photo.objects.count(), evidence()) == (0, [])
    last = put(field, tree, offset + PART)
    photo = {"sha256": SHA, "state": "received", "refusal": "", "refusal_code": ""}
    assert (last.status_code, last.json()) == (200, {"offset": len(CONTENT), "photo": photo})
    stored = Photo.objects.get()
    with stored.original.open() as original:
        assert (stored.tree, stored.uploaded_by, original.read()) == (tree, officer, CONTENT)
    assert (Upload.objects.count(), UploadPart.objects.count()) == (0, 0)
    assert begin(field, tree).json() == last.json()
    assert put(field, tree, 0).json()["photo"] == photo
    assert (Photo.objects.count(), Upload.objects.count()) == (1, 0)


def test_after_an_interruption_it_goes_on_where_it_stopped(field: Client, tree: Tree) -> None:
    begin(field, tree)
    put(field, tree, 0)
    put(field, tree, PART)
    assert begin(field, tree, tree=str(tree.client_uuid)).json() == {"offset": 2 * PART, "photo": None}
    for offset in (0, PART, 2 * PART + 1, 5 * PART):
        answer = put(field, tree, offset, CONTENT[offset : offset + 10])
        assert (answer.status_code, answer.json()) == (409, {
            "code": "wrong_offset", "message": "Go on where the photo stopped.", "offset": 2 * PART,
        })  # fmt: skip
    assert send(field, tree).json()["photo"]["sha256"] == SHA
    with Photo.objects.get().original.open() as original:
        assert original.read() == CONTENT


def test_a_phone_may_cut_the_photo_as_it_likes(field: Client, tree: Tree) -> None:
    content = factories.picture()
    sha, offset = hashlib.sha256(content).hexdigest(), 0
    begin(field, tree, content)
    for length in (1, 7, 100, len(content)):
        answer = put(field, tree, offset, content[offset : offset + length], sha)
        offset = answer.json()["offset"]
    assert (offset, answer.json()["photo"]["sha256"]) == (len(content), sha)


def test_damaged_on_the_way_it_begins_anew(field: Client, tree: Tree) -> None:
    content = factories.picture()
    sha = hashlib.sha256(content).hexdigest()
    begin(field, tree, content)
    answer = put(field, tree, 0, content[:-1] + b"?", sha)
    assert (answer.status_code, answer.json()) == (422, {
        "code": "damaged", "message": "The photo was damaged on its way. It is sent again from the beginning.",
        "offset": 0,
    })  # fmt: skip
    assert (Photo.objects.count(), UploadPart.objects.count(), evidence()) == (0, 0, [])
    assert begin(field, tree, content).json() == {"offset": 0, "photo": None}
    assert put(field, tree, 0, content, sha).json()["photo"]["state"] == "received"


def test_what_is_no_photo_is_refused_when_it_is_whole_and_nothing_waits(field: Client, tree: Tree) -> None:
    content = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    begin(field, tree, content)
    answer = put(field, tree, 0, content, hashlib.sha256(content).hexdigest())
    assert (answer.status_code, answer.json()["code"]) == (400, "not_a_photo")
    assert (Photo.objects.count(), Upload.objects.count(), UploadPart.objects.count()) == (0, 0, 0)


def test_when_the_server_died_before_the_last_answer_asking_again_finishes_it(
    field: Client, tree: Tree, officer: User
) -> None:
    upload = Upload.objects.create(officer=officer, tree=tree, sha256=SHA, size=len(CONTENT))
    UploadPart.objects.create(upload=upload, offset=0, content=CONTENT)
    answer = begin(field, tree).json()
    assert (answer["offset"], answer["photo"]["sha256"]) == (len(CONTENT), SHA)
    assert (Photo.objects.count(), Upload.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [(b"", 413, "wrong_part"), (b"x" * (PART + 1), 413, "wrong_part"), (CONTENT[: PART - 1] + b"", 200, None)],
    ids=["empty", "too long", "just right"],
)
def test_a_part_has_a_limit(field: Client, tree: Tree, part: bytes, status: int, code: str | None) -> None:
    begin(field, tree)
    answer = put(field, tree, 0, part)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert UploadPart.objects.count() == (1 if status == 200 else 0)


def test_more_bytes_than_announced_are_refused(field: Client, tree: Tree) -> None:
    begin(field, tree, size=100)
    answer = put(field, tree, 0, CONTENT[:101])
    assert (answer.status_code, answer.json()["code"], answer.json()["offset"]) == (422, "wrong_part", 0)
    # Announced anew with its real size, it begins anew.
    put(field, tree, 0, CONTENT[:99])
    assert begin(field, tree).json() == {"offset": 0, "photo": None}
    assert Upload.objects.get().size == len(CONTENT)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"size": settings.PHOTO_MAX_BYTES + 1}, 413, "photo_too_large"), ({"size": 0}, 400, "invalid"),
        ({"size": "many"}, 400, "invalid"), ({"size": 10**30}, 400, "invalid"), ({"sha256": "x" * 64}, 400, "invalid"),
        ({"sha256": SHA.upper()}, 400, "invalid"), ({"tree": "1"}, 404, "unknown_tree"),
        ({"inspection": str(uuid.UUID(int=1))}, 404, "unknown_inspection"), ({"inspection": "x"}, 400, "invalid"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_a_photo_is_not_begun(
    field: Client, tree: Tree, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = begin(field, tree, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Upload.objects.count() == 0


def test_an_approved_tree_takes_photos_of_its_inspections_only(field: Client, officer: User, reviewer: User) -> None:
    tree = factories.tree(factories.household(officer))
    waiting = factories.picture()
    sha = hashlib.sha256(waiting).hexdigest()
    begin(field, tree, waiting)
    review.approve_tree(tree, reviewer=reviewer)
    sentence = "This tree has been reviewed: its photos stay as they are."
    late = put(field, tree, 0, waiting, sha)
    assert (late.status_code, late.json()) == (409, {"code": "wrong_state", "message": sentence})
    assert (begin(field, tree).status_code, Upload.objects.count()) == (409, 0)

    inspection = record_inspection(
        tree, officer=officer, client_uuid=uuid.uuid4(), condition="dead", cause="frost",
        inspected_on=timezone.localdate(),
    )  # fmt: skip
    for offset in range(-PART, len(CONTENT), PART):
        answer = put(field, tree, offset) if offset >= 0 else begin(field, tree, inspection=inspection.client_uuid)
    assert answer.json()["photo"]["state"] == "received"
    assert inspection.photos.get().sha256 == SHA
    other = factories.approved_tree(tree.household, reviewer)
    answer = begin(field, other, inspection=inspection.client_uuid)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_inspection")


def test_an_officer_has_so_many_uploads_and_bytes_under_way(
    field: Client, officer: User, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_UPLOADS", 3)
    monkeypatch.setattr(uploads, "MOST_BYTES", 30_000)
    assert [begin(field, tree, bytes([n]) * 10_000).status_code for n in range(4)] == [200, 200, 200, 429]
    answer = begin(field, tree, b"4")
    assert (answer.status_code, answer.json()) == (429, {
        "code": "too_many_uploads",
        "message": "Too many photos are under way. Let those that were begun arrive first.",
    })  # fmt: skip
    assert begin(field, tree, bytes([0]) * 10_000).status_code == 200
    assert begin(signed_in(factories.user(roles.OFFICER)), tree, b"4").status_code == 200
    monkeypatch.setattr(uploads, "MOST_UPLOADS", 9)
    assert begin(field, tree, b"5").status_code == 429


def test_each_officer_s_parts_are_their_own(field: Client, tree: Tree) -> None:
    colleague = signed_in(factories.user(roles.OFFICER))
    begin(field, tree)
    put(field, tree, 0)
    assert put(colleague, tree, PART).json()["code"] == "unknown_upload"
    assert begin(colleague, tree).json()["offset"] == 0
    send(colleague, tree)
    # The photo is there, whoever brought it: the first one's parts have nothing to wait for.
    assert begin(field, tree).json()["photo"]["sha256"] == SHA
    assert (Photo.objects.count(), Upload.objects.count()) == (1, 0)


def test_the_same_photo_of_two_trees_is_kept_once_and_known_for_both(field: Client, tree: Tree) -> None:
    other = factories.tree(tree.household, photo=False)
    assert send(field, tree).json() == send(field, other).json()
    assert (Photo.objects.count(), len(evidence())) == (2, 1)


def test_uploads_that_stopped_a_week_ago_are_forgotten(field: Client, tree: Tree) -> None:
    begin(field, tree)
    put(field, tree, 0)
    begin(field, tree, b"young")
    Upload.objects.filter(sha256=SHA).update(begun_at=timezone.now() - timedelta(days=7, minutes=1))
    drop_old_uploads()
    assert [upload.size for upload in Upload.objects.all()] == [5]
    assert UploadPart.objects.count() == 0
    answer = put(field, tree, PART)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upload")
    assert send(field, tree).json()["photo"]["sha256"] == SHA


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"tree": NaN}', b"\xff", b'{"size": 1e999}'])
def test_a_body_that_is_no_upload_is_a_400(field: Client, body: bytes) -> None:
    answer = field.post("/api/v1/uploads", body, content_type="application/json")
    assert (answer.status_code, set(answer.json()) >= {"code", "message"}) == (400, True)


def test_parts_are_bytes_and_their_address_is_whole(field: Client, tree: Tree) -> None:
    begin(field, tree)
    path = f"/api/v1/uploads/{SHA}"
    for query in ("", f"?tree={tree.number}", f"?tree={tree.number}&offset=-1", f"?tree={tree.number}&offset=x"):
        assert field.put(path + query, b"x", content_type="application/octet-stream").status_code == 400
    answer = field.put(f"{path}?tree={tree.number}&offset=0", b"{}", content_type="application/json")
    assert answer.status_code == 415
    assert put(field, tree, 0, b"x", sha="nothing").json()["code"] == "unknown_upload"
    assert UploadPart.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_same_part_and_the_same_photo_at_once_are_one() -> None:
    tree = factories.tree(photo=False)
    tabs = [signed_in(tree.registered_by) for _ in range(8)]
    answers = at_once(*(lambda tab=tab: begin(tab, tree) for tab in tabs))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert Upload.objects.count() == 1
    for offset in range(0, len(CONTENT), PART):
        answers = at_once(*(lambda tab=tab, offset=offset: put(tab, tree, offset) for tab in tabs))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) <= {200, 409}
        if offset + PART < len(CONTENT):
            assert statuses.count(200) == 1
    assert Photo.objects.count() == 1
    assert (Upload.objects.count(), UploadPart.objects.count()) == (0, 0)
    assert begin(tabs[0], tree).json()["photo"]["sha256"] == SHA


@pytest.mark.django_db(transaction=True)
def test_two_tabs_that_send_the_whole_photo_side_by_side_make_one() -> None:
    tree = factories.tree(photo=False)

    def all_of_it(tab: Client) -> Any:
        answer = begin(tab, tree)
        while answer.json().get("photo") is None:
            assert answer.json().get("code") in (None, "wrong_offset"), answer.json()
            answer = put(tab, tree, answer.json()["offset"])
        return answer.json()

    answers = at_once(*(lambda tab=tab: all_of_it(tab) for tab in [signed_in(tree.registered_by) for _ in range(4)]))
    assert {answer["photo"]["sha256"] for answer in answers} == {SHA}
    assert (Photo.objects.count(), Upload.objects.count(), len(evidence())) == (1, 0, 1)
