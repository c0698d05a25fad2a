"""Files in a store that speaks S3: a real server of its own, spoken to over HTTP."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.files.storage import default_storage, storages
from django.test import Client

from tests import factories
from tests.processes import ROOT, wait_for
from tests.trees.pictures import processed, saved, scene, upload
from trees import photos
from trees.models import Flag, Photo, Tree

KEYS = {"S3_ACCESS_KEY_ID": "testing", "S3_SECRET_ACCESS_KEY": "testing", "S3_REGION": "us-east-1"}
BUCKETS = {"S3_BUCKET_PICTURES": "pictures", "S3_BUCKET_EVIDENCE": "evidence"}
SERVER = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"


def settings_with(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line in a process whose settings have this environment."""
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DEPLOYMENT": "test"}
    return subprocess.run(
        [sys.executable, "-c", code], env=own | environment, capture_output=True, text=True, cwd="/", timeout=60
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server with our two buckets."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as file:
        child = subprocess.Popen([sys.executable, "-c", SERVER], stderr=file, stdout=file)

    def address() -> str:
        assert child.poll() is None, log.read_text()
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        return found[0] if found else ""

    url = wait_for(address)
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    for bucket in BUCKETS.values():
        client.create_bucket(Bucket=bucket)
    yield url
    client.close()
    child.terminate()
    child.wait(timeout=15)


@pytest.fixture
def on_s3(store: str, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform with the STORAGES that its settings make of the environment."""
    code = "import json; from carbonsink import settings; print(json.dumps(settings.STORAGES, default=str))"
    done = settings_with(code, S3_ENDPOINT_URL=store, **KEYS, **BUCKETS)
    assert done.returncode == 0, done.stderr
    made = {alias: storages.create_storage(json.loads(done.stdout)[alias]) for alias in ("default", "evidence")}
    for alias, storage in made.items():
        monkeypatch.setitem(storages._storages, alias, storage)
    monkeypatch.setattr(default_storage, "_wrapped", made["default"])
    monkeypatch.setattr(Photo._meta.get_field("original"), "storage", made["evidence"])


def names(alias: str) -> set[str]:
    return {item.key for item in storages[alias].bucket.objects.all()}


def test_a_photo_goes_its_whole_way_through_the_buckets(on_s3: None, field: Client, tree: Tree, media: Path) -> None:
    content = saved("JPEG", scene(1, (800, 600)))
    photo = processed(field, tree, content)
    assert photo.state == "accepted"
    assert storages["evidence"].exists(photo.original.name)
    with photo.original.open("rb") as kept:
        assert kept.read() == content
    assert {photo.large.name, photo.small.name, photo.large.name.replace(".jpg", ".webp")} <= names("default")
    assert not any(media.rglob("*.*"))  # Nothing went into the folders.

    url = photo.large.url
    assert url == f"/media/{photo.large.name}"
    answer = Client().get(url)
    with default_storage.open(photo.large.name) as file:
        assert (answer.status_code, b"".join(answer.streaming_content)) == (200, file.read())
    assert answer["Content-Type"] == "image/jpeg"
    answer.close()
    assert Client().get(url.replace("-large", "-small").replace(photo.large.name[9:20], "0" * 11)).status_code == 404


def test_originals_are_private_and_shown_by_signed_addresses_only(on_s3: None, field: Client, tree: Tree) -> None:
    photo = processed(field, tree, factories.picture())
    signed = httpx.URL(photo.original.url)
    assert {"X-Amz-Signature", "X-Amz-Expires"} <= set(signed.params)
    assert signed.params["X-Amz-Expires"] == "300"
    with photo.original.open("rb") as kept:
        assert httpx.get(signed, trust_env=False).content == kept.read()
    bucket = storages["evidence"].bucket
    grants = bucket.Object(photo.original.name).Acl().grants
    assert [grant["Grantee"].get("URI", "") for grant in grants] == [""]


def test_the_same_file_again_is_stored_once_and_copies_are_found(on_s3: None, field: Client, tree: Tree) -> None:
    before = names("evidence")
    content = saved("JPEG", scene(2, (800, 600)))
    processed(field, tree, content)
    upload(field, tree, content)
    other = factories.tree(tree.household, photo=False)
    processed(field, other, saved("JPEG", scene(2, (800, 600)), quality=50))
    assert len(names("evidence") - before) == 2
    assert [(flag.kind, flag.tree, flag.other_tree) for flag in Flag.objects.all()] == [("near_photo", other, tree)]


def test_a_store_that_cannot_be_reached_makes_no_photo_refused(on_s3: None, tree: Tree, monkeypatch: Any) -> None:
    photo = photos.take_photo(tree, io.BytesIO(factories.picture()), officer=tree.registered_by)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"bucket_name": "pictures", "endpoint_url": "http://127.0.0.1:9", "access_key": "x", "secret_key": "x"}
    nowhere = storages.create_storage({"BACKEND": "carbonsink.files.PublicPictures", "OPTIONS": options})
    with monkeypatch.context() as down:
        down.setattr(default_storage, "_wrapped", nowhere)
        for _ in range(4):
            with pytest.raises(EndpointConnectionError):
                photos.process(photo)
    photo.refresh_from_db()
    assert (photo.state, photo.tries) == ("received", 0)
    photos.process(photo)
    assert photo.state == "accepted"


def test_without_buckets_boto3_is_never_loaded() -> None:
    code = (
        "import sys, django; django.setup(); from django.core.files.storage import storages; storages['evidence'].exists('x');"
        " print(type(storages['default']).__name__, 'boto3' in sys.modules)"
    )
    done = settings_with(code, DJANGO_SETTINGS_MODULE="carbonsink.settings")
    assert done.stdout == "FileSystemStorage False\n", done.stderr


@pytest.mark.parametrize(
    "buckets", [{"S3_BUCKET_PICTURES": "one"}, {"S3_BUCKET_EVIDENCE": "one"}, dict.fromkeys(BUCKETS, "one")]
)
def test_one_bucket_is_not_enough(buckets: dict[str, str]) -> None:
    done = settings_with("import carbonsink.settings", **buckets)
    assert done.returncode == 1
    assert "S3_BUCKET_PICTURES and S3_BUCKET_EVIDENCE must be two buckets" in done.stderr.splitlines()[-1]
