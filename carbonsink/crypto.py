"""Personal data at rest: encrypted columns, and keyed digests to find and compare them.

Both kinds of key can be rotated: put the new key first in FIELD_ENCRYPTION_KEYS or FIELD_LOOKUP_KEYS, run
`manage.py rotate_keys`, then drop the old one.
"""

import functools
import hashlib
import hmac
import re
import unicodedata
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models

_SEPARATORS = re.compile(r"[\s\-‐‑–—.]+")


@functools.lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def fernet() -> MultiFernet:
    """The cipher of the configured keys: encrypts with the first, decrypts with any."""
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))


def normalise(value: str) -> str:
    """The form that is compared: fullwidth digits and letters narrowed, separators dropped, upper case."""
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", value)).upper()


def _digest(key_id: str, value: str) -> str:
    key = bytes.fromhex(settings.FIELD_LOOKUP_KEYS[key_id])
    return f"{key_id}:{hmac.new(key, normalise(value).encode(), hashlib.sha256).hexdigest()}"


def digest(value: str) -> str:
    """The keyed digest (HMAC-SHA256, current key) of a value's normalised form, as "key id:hex"."""
    return _digest(next(iter(settings.FIELD_LOOKUP_KEYS)), value)


def digests(value: str) -> list[str]:
    """Digests under all known keys, current first; use with `…__in` so that look-up works in mid-rotation."""
    return [_digest(key_id, value) for key_id in settings.FIELD_LOOKUP_KEYS]


class EncryptedField(models.TextField):
    """Text that is ciphertext in the database. Cannot be searched: use a DigestField beside it."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else fernet().encrypt(str(value).encode()).decode()

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if value is None:
            return None
        try:
            return fernet().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise FieldError(f"{self.name} was encrypted with a key that is not in FIELD_ENCRYPTION_KEYS.") from error

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted; filter by its digest instead.")
        return super().get_lookup(lookup_name)


class DigestField(models.CharField):
    """The keyed digest of another field of the model (`of`), kept in step whenever that model is saved."""

    def __init__(self, *args: Any, of: str, **kwargs: Any) -> None:
        self.of = of
        kwargs.setdefault("max_length", 90)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "of": self.of}

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        value = getattr(model_instance, self.of)
        result = digest(value) if value else None
        setattr(model_instance, self.attname, result)
        return result


def mask(value: str, head: int = 0, tail: int = 4) -> str:
    """All but the first `head` and last `tail` characters replaced by "*": mask("13912345678", 3, 4)."""
    if len(value) <= head + tail:
        return "*" * len(value)
    return value[:head] + "*" * (len(value) - head - tail) + value[len(value) - tail :]


def mask_name(name: str) -> str:
    """A person's name for public pages: 滚小修 → 滚*修, 王五 → 王*."""
    if len(name) <= 2:
        return name[:1] + "*"
    return name[0] + "*" * (len(name) - 2) + name[-1]
