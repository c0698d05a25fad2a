"""Where files lie: in two folders, or in two buckets of a store that speaks S3."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env, validate


def storages(env: Env, media: Path, static: str) -> dict[str, dict[str, Any]]:
    """Django's STORAGES: public pictures in `default`, originals in `evidence`, the static files' backend. Raises
    ImproperlyConfigured where one bucket is set without the other."""
    folders: dict[str, dict[str, Any]] = {
        # Public pictures: re-encoded, without metadata.
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": media / "public"},
        },
        # Evidence: originals, never served.
        "evidence": {
            "BACKEND": "carbonsink.folders.EvidenceFolder",
            "OPTIONS": {"location": media / "evidence", "base_url": None, "file_permissions_mode": 0o600},
        },
        "staticfiles": {"BACKEND": static},
    }
    return folders | _buckets(env)


def _buckets(env: Env) -> dict[str, dict[str, Any]]:
    """The two buckets, both private; nothing where none is set. boto3 is only loaded where they are set."""
    pictures, evidence = env.str("S3_BUCKET_PICTURES", ""), env.str("S3_BUCKET_EVIDENCE", "")
    options = {
        "endpoint_url": env.str("S3_ENDPOINT_URL", "") or None,
        "region_name": env.str("S3_REGION", "") or None,
        "access_key": env.str("S3_ACCESS_KEY_ID", "") or None,
        "secret_key": env.str("S3_SECRET_ACCESS_KEY", "") or None,
        "addressing_style": env.str(
            "S3_ADDRESSING_STYLE", "auto", validate=validate.OneOf(["auto", "path", "virtual"])
        ),
        "signature_version": "s3v4",
        "file_overwrite": True,  # Names tell the content, or are random.
        "querystring_expire": 300,
    }
    if not pictures and not evidence:
        return {}
    if not pictures or not evidence or pictures == evidence:
        raise ImproperlyConfigured("S3_BUCKET_PICTURES and S3_BUCKET_EVIDENCE must be two buckets; see .env.example.")
    return {
        "default": {"BACKEND": "carbonsink.files.PublicPictures", "OPTIONS": {"bucket_name": pictures, **options}},
        "evidence": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": evidence, **options}},
    }
