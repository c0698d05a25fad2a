"""Signatures that households draw on the officer's screen: kept as evidence with the consent, never served."""

import base64
import binascii
import hashlib
import io
import secrets
from datetime import datetime, timedelta

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone
from django.utils.translation import gettext as _
from PIL import Image

from carbonsink.errors import DomainError
from trees.models import Consent
from trees.pictures import BROKEN

PREFIX = "data:image/png;base64,"
MAX_BYTES = 60_000  # Of the data URL, as it is sent.
MAX_SIDE_PX = 2_000
# A device may have been without reception for so long.
OLDEST = timedelta(days=60)


def read_signature(data_url: str) -> bytes:
    """The drawing as a new PNG: grey, on white, without anything else that the file may have carried.

    Raises DomainError when it is not a PNG, too large, or shows nothing.
    """
    if len(data_url) > MAX_BYTES:
        raise DomainError("bad_signature", _("The signature is too large. Have it signed again."), status=413)
    wrong = DomainError("bad_signature", _("The signature cannot be read. Have it signed again."))
    if not data_url.startswith(PREFIX):
        raise wrong
    try:
        content = base64.b64decode(data_url.removeprefix(PREFIX), validate=True)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if max(image.size) > MAX_SIDE_PX:
                raise wrong
            drawn = image.convert("RGBA")
    except (binascii.Error, *BROKEN) as error:
        raise wrong from error
    white = Image.new("RGBA", drawn.size, "white")
    white.alpha_composite(drawn)
    grey = white.convert("L")
    darkest, lightest = grey.getextrema()
    if lightest - darkest < 64:  # type: ignore[operator]
        raise DomainError("bad_signature", _("The signature is empty. Have it signed again."))
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def keep_signature(png: bytes) -> dict[str, str]:
    """Stores a drawing among the evidence, under a name of its own; gives the columns of its consent."""
    token = secrets.token_hex(32)
    name = storages["evidence"].save(f"{token[:2]}/{token}", ContentFile(png))
    return {"signature": name, "signature_sha256": hashlib.sha256(png).hexdigest()}


def drop_unused(columns: dict[str, str]) -> None:
    """Deletes a drawing that no consent came to hold: the household was refused, or was registered before."""
    if columns and not Consent.objects.filter(signature=columns["signature"]).exists():
        storages["evidence"].delete(columns["signature"])


def signed_at(device_time: datetime | None) -> datetime:
    """When it was signed: by the device's clock if that may be right, else now."""
    now = timezone.now()
    return device_time if device_time is not None and now - OLDEST <= device_time <= now else now
