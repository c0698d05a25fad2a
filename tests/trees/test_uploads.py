"""Photos that arrive in parts: resumed, sent twice, damaged on the way, too many, and two phones' tabs at once."""

import hashlib
from typing import Any

from django.test import Client

from carbonsink.accounts.models import User
from tests import factories
from tests.trees.registry import evidence, post
from trees import uploads
from trees.models import Photo, Tree, Upload, UploadPart

CONTENT = factories.picture((900, 700), "PNG", compress_level=0)  # 1.9 MB: eight parts.
SHA = hashlib.sha256(CONTENT).hexdigest()
PART = uploads.PART_MAX_BYTES


def begin(client: Client, tree: Tree, content: bytes = CONTENT, **changes: Any) -> Any:
    sha = hashlib.sha256(content).hexdigest()
    return post(client, "uploads", {"tree": tree.number, "sha256": sha, "size": len(content), **changes})


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
