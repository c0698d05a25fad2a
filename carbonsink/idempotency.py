"""Records that devices send again: the same UUID with the same content is the same record, other content a 409."""

import uuid
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError

M = TypeVar("M", bound=models.Model)


def once(
    model: type[M], client_uuid: uuid.UUID, body_hash: str, make: Callable[[], M], *, earlier: Collection[str] = ()
) -> M:
    """The record with this UUID, made by `make` in a transaction if it is new.

    `model` has the fields client_uuid (unique) and body_hash. `earlier` are hashes that the same content had under keys
    since rotated. Raises DomainError 409 when the record exists with other content.
    """

    def existing() -> M | None:
        found: Any = model._base_manager.filter(client_uuid=client_uuid).first()
        if found is not None and found.body_hash not in (body_hash, *earlier):
            raise DomainError(
                "different_content",
                _("This record was sent before with other content. Open it and compare both before you change it."),
                status=409,
            )
        return found

    def made() -> M:
        with transaction.atomic():
            return make()

    found = existing()
    if found is not None:
        return found
    try:
        return made()
    except IntegrityError:
        # Somebody sent the same record at the same time, or took the same unique value: look, else try again, so that
        # `make` finds what is in its way and says it in a sentence.
        return existing() or made()
