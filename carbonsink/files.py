"""Where files lie: in a folder, or in two buckets of a store that speaks S3."""

from typing import Any

from django.conf import settings
from django.utils.encoding import filepath_to_uri
from storages.backends.s3 import S3Storage


class PublicPictures(S3Storage):
    """A bucket whose files are served by the site itself: nothing needs to be public, and pages load from one host."""

    def url(self, name: str, *args: Any, **kwargs: Any) -> str:
        """The address on our own site."""
        return f"{settings.MEDIA_URL}{filepath_to_uri(name)}"
