"""A consent that is signed on the officer's screen: when, and what was drawn."""

import base64
import hashlib
import io
import struct
import zlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from PIL import Image, ImageDraw, PngImagePlugin

from tests import factories
from tests.trees.registry import evidence, household_body, post, stored
from trees.models import Consent, Household

pytestmark = pytest.mark.django_db
PREFIX = "data:image/png;base64,"


def drawing(size: tuple[int, int] = (600, 200), line: bool = True, mode: str = "RGBA", **options: Any) -> bytes:
    """What a canvas gives: black strokes on nothing."""
    image = Image.new(mode, size, (0, 0, 0, 0) if mode == "RGBA" else "white")
    if line:
        ImageDraw.Draw(image).line([(20, 30), (120, 90), (size[0] - 30, 40)], fill="black", width=4)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def data_url(png: bytes) -> str:
    return PREFIX + base64.b64encode(png).decode()


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that claims to be large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_what_was_drawn_is_kept_as_evidence_with_its_hash_and_the_device_s_time(field: Client) -> None:
    signed = timezone.now() - timedelta(hours=9)
    extra = PngImagePlugin.PngInfo()
    extra.add_text("Comment", "where and by whom")
    body = household_body(consent_signed_at=signed.isoformat(), signature=data_url(drawing(pnginfo=extra)))
    answer = post(field, "households", body)
    assert answer.status_code == 201
    consent = Consent.objects.get()
    assert consent.signed_at == signed
    assert evidence() == [consent.signature]
    with storages["evidence"].open(consent.signature) as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == consent.signature_sha256
    assert b"where and by whom" not in content
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        assert (image.size, image.mode, image.getextrema()) == ((600, 200), "L", (0, 255))
    assert consent.signature not in answer.content.decode()


def test_sent_again_it_is_one_household_with_one_drawing(field: Client) -> None:
    body = household_body(signature=data_url(drawing()), consent_signed_at=timezone.now().isoformat())
    first = post(field, "households", body)
    before = stored()
    assert post(field, "households", body).json() == first.json()
    assert post(field, "households", {**body, "signature": data_url(drawing((601, 200)))}).status_code == 409
    assert post(field, "households", {**body, "area_mu": "9"}).status_code == 409
    assert stored() == before


def test_of_a_household_that_is_refused_nothing_is_kept(field: Client) -> None:
    first = household_body()
    post(field, "households", first)
    before = stored()
    again = household_body(id_number=first["id_number"], signature=data_url(drawing()))
    assert post(field, "households", again).json()["code"] == "household_exists"
    assert stored() == before


def test_on_paper_is_signed_as_before(field: Client) -> None:
    post(field, "households", household_body())
    consent = Consent.objects.get()
    assert (consent.signature, consent.signature_sha256, evidence()) == ("", "", [])


NOW = timezone.now()


@pytest.mark.parametrize(
    ("device", "believed"),
    [
        (None, False), (NOW + timedelta(days=1), False), (NOW - timedelta(days=61), False),
        (NOW - timedelta(days=59), True), (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), False),
    ],
    ids=["none", "tomorrow", "long ago", "two months ago", "a phone without its clock"],
)  # fmt: skip
def test_a_device_s_clock_is_believed_if_it_may_be_right(
    field: Client, device: datetime | None, believed: bool
) -> None:
    before = timezone.now()
    post(field, "households", household_body(consent_signed_at=device.isoformat() if device else None))
    signed = Consent.objects.get().signed_at
    assert signed == device if believed else before <= signed <= timezone.now()


BAD = {
    "not a data URL": base64.b64encode(drawing()).decode(),
    "another kind": "data:image/jpeg;base64," + base64.b64encode(factories.picture()).decode(),
    "a JPEG that says PNG": data_url(factories.picture()),
    "not base64": PREFIX + "§§§",
    "half of it": data_url(drawing()[: len(drawing()) // 2]),
    "nothing": PREFIX,
    "empty": data_url(drawing(line=False)),
    "all white": data_url(drawing(line=False, mode="L")),
    "wider than any screen": data_url(drawing((2001, 10))),
    "a bomb": data_url(bomb(50_000, 50_000)),
    "less than it claims": data_url(bomb(1_000, 1_000)),
    "more than 60 kB": data_url(drawing() + b"\0" * 60_000),
    "markup": PREFIX + "<script>",
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_small_png_with_a_signature_is_refused(field: Client, fault: str) -> None:
    body = household_body(signature=BAD[fault])
    before = stored()
    answer = post(field, "households", body)
    assert (answer.status_code, answer.json()["code"]) == (413 if "60 kB" in fault else 400, "bad_signature")
    assert answer.json()["message"].endswith("Have it signed again.")
    assert stored() == before
    assert Household.objects.count() == 0


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("signature = 'x'", "append-only"),
        ("signature_sha256 = ''", "append-only"),
        ("signed_at = now()", "append-only"),
    ],
)
def test_what_was_signed_stays(field: Client, change: str, rule: str) -> None:
    post(field, "households", household_body(signature=data_url(drawing())))
    with pytest.raises(IntegrityError, match=rule), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trees_consent SET {change}")


def test_a_drawing_and_its_hash_come_together() -> None:
    household = factories.household()
    text = Consent.objects.get().text
    Consent.objects.update(withdrawn_at=timezone.now())
    with pytest.raises(IntegrityError, match="signature_whole"), transaction.atomic():
        Consent.objects.create(household=household, text=text, signed_at=timezone.now(), signature="ab/cd")
