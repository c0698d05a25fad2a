"""Organisations that buy, by their unified social credit code."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.models import Organisation


def find_or_note(code: str, name: str, kind: str) -> Organisation:
    """The organisation of this code, noted as unchecked when it is new.

    DomainError("invalid") for a code or name that cannot be one, "another_name" when the code belongs to another name.
    """
    made = Organisation(code=code.strip().upper(), name=" ".join(name.split()), kind=kind)
    try:
        made.clean_fields(exclude=["checked_by", "checked_at", "created_at"])
    except ValidationError as error:
        raise DomainError("invalid", error.messages[0]) from error
    found, _made = Organisation.objects.get_or_create(code=made.code, defaults={"name": made.name, "kind": kind})
    if found.name != made.name:
        raise DomainError(
            "another_name",
            _("This code belongs to another name. Enter the name as it stands on the certificate of registration."),
        )
    return found
