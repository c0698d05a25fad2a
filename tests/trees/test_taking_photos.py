"""Which photos a tree takes in which state, what a sender claims of them, and what one may cost a worker."""

import hashlib
import io
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image

from carbonsink.accounts.models import User
from carbonsink.confinement import Confined
from tests import factories
from tests.trees.pictures import processed, saved, upload
from tests.trees.registry import stored
from trees import photos, pictures, review, tasks
from trees.models import Inspection, Photo, Tree


def inspection_of(tree: Tree) -> Inspection:
    return Inspection.objects.create(
        client_uuid=uuid.uuid4(),
        tree=tree,
        state="recorded",
        condition="alive",
        inspected_on=timezone.localdate(),
        inspected_by=tree.registered_by,
    )


def test_a_photo_that_is_known_is_answered_also_after_the_approval(field: Client, reviewer: User, tree: Tree) -> None:
    content = factories.picture()
    processed(field, tree, content)
    review.approve_tree(tree, reviewer=reviewer)
    answer = upload(field, tree, content)
    assert (answer.status_code, answer.json()["state"]) == (201, "accepted")
    assert Photo.objects.count() == 1


@pytest.mark.parametrize("state", Tree.State.values)
def test_states_that_take_photos_of_the_tree_and_of_inspections(tree: Tree, state: str) -> None:
    Tree.objects.filter(pk=tree.pk).update(**{"state": state})
    tree.refresh_from_db()
    inspection = inspection_of(tree)
    registered = state in ("draft", "submitted", "rejected", "expired", "withdrawn")
    inspected = registered or state in ("approved", "suspended")
    for looked, taken, height in ((None, registered, 100), (inspection, inspected, 120)):
        file = io.BytesIO(factories.picture((100, height)))
        before = stored()
        if taken:
            made = photos.take_photo(tree, file, officer=tree.registered_by, inspection=looked)
            assert (made.inspection, made.state) == (looked, "received")
        else:
            with pytest.raises(photos.DomainError) as refused:
                photos.take_photo(tree, file, officer=tree.registered_by, inspection=looked)
            assert (refused.value.code, refused.value.status) == ("wrong_state", 409)
            assert stored() == before


def test_an_inspection_of_another_tree_takes_no_photo(tree: Tree) -> None:
    other = inspection_of(factories.tree(tree.household, photo=False))
    before = stored()
    with pytest.raises(photos.DomainError) as refused:
        photos.take_photo(tree, io.BytesIO(factories.picture()), officer=tree.registered_by, inspection=other)
    assert (refused.value.code, stored()) == ("wrong_tree", before)


def test_a_file_that_is_not_what_the_sender_hashed_is_damaged(tree: Tree) -> None:
    content, before = factories.picture(), stored()
    with pytest.raises(photos.DomainError) as refused:
        photos.take_photo(tree, io.BytesIO(content), officer=tree.registered_by, sha256="0" * 64)
    assert (refused.value.code, refused.value.status, stored()) == ("damaged", 422, before)
    digest = hashlib.sha256(content).hexdigest()
    made = photos.take_photo(tree, io.BytesIO(content), officer=tree.registered_by, sha256=digest)
    assert made.sha256 == digest
    with pytest.raises(photos.DomainError) as again:
        photos.take_photo(tree, io.BytesIO(content), officer=tree.registered_by, sha256="0" * 64)
    assert again.value.code == "damaged"


def test_an_original_that_is_gone_is_refused(field: Client, tree: Tree, media: Path) -> None:
    upload(field, tree, factories.picture())
    photo = Photo.objects.get()
    (media / "evidence" / photo.original.name).unlink()
    tasks.process_photo(photo.pk)
    photo.refresh_from_db()
    assert (photo.state, photo.refusal) == ("refused", "failed")


def crash(content: bytes) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)


class TestMemory:
    """A photo may cost a worker a file and a child process with a limit."""

    @pytest.mark.parametrize(
        ("limit", "refusal"),
        [(Confined(pictures.process, megabytes=20, seconds=30), "too_large"),
         (Confined(crash, megabytes=20, seconds=30), "failed")],
    )  # fmt: skip
    def test_a_photo_that_takes_too_much_is_refused_and_the_worker_goes_on(
        self, field: Client, tree: Tree, monkeypatch: Any, limit: Any, refusal: str
    ) -> None:
        with monkeypatch.context() as small:
            small.setattr(pictures, "_confined", limit)
            # Far above the limit: the child may also use what its parent has left free.
            photo = processed(field, tree, saved("PNG", Image.new("RGB", (6_000, 4_000)), compress_level=1))
        assert (photo.state, photo.refusal) == ("refused", refusal)
        assert processed(field, tree, factories.picture()).state == "accepted"

    @pytest.mark.parametrize(
        "content",
        [
            lambda: saved("PNG", Image.new("RGBA", (6_000, 4_000), (9, 99, 9, 128)), compress_level=1),
            lambda: saved("WEBP", Image.new("RGBA", (6_000, 4_000), (9, 99, 9, 128)), method=0),
            lambda: saved("JPEG", Image.new("CMYK", (6_000, 4_000)), progressive=True),
            lambda: saved("JPEG", Image.new("CMYK", (10_000, 7_000))),
        ],
        ids=["PNG", "WebP", "progressive JPEG", "large JPEG"],
    )
    def test_the_largest_photos_need_no_more_than_there_is(self, content: Any) -> None:
        assert set(pictures.process_confined(content()).files) == {
            "large.jpg", "large.webp", "small.jpg", "small.webp",
        }  # fmt: skip
