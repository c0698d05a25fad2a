"""Organisations: noted when they first order, checked by a person against the public register."""

import unicodedata

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink import states
from carbonsink.accounts.models import User
from carbonsink.crypto import normalise
from carbonsink.errors import DomainError
from purchases.models import Organisation
from purchases.models.buyers import check_uscc
from purchases.wishes import check_holder


def check_code(text: str) -> str:
    """A unified social credit code as it is kept: narrow, upper case, without spaces and hyphens. Raises
    DomainError("bad_code")."""
    code = normalise(text)
    try:
        check_uscc(code)
    except ValidationError as error:
        raise DomainError("bad_code", error.message) from error
    return code


def find_or_note(code: str, name: str, kind: str, contact: str) -> Organisation:
    """The organisation with this code, or a new, unchecked one, with the contact of who noted it.

    What was noted first stays: a name is put right by whoever checks it. Raises DomainError: bad_code, invalid (no
    name, or no such kind), another_name (the code is checked, and belongs to somebody of another name, who is not
    told).
    """
    code, name = check_code(code), check_holder(name)
    if not name or kind not in Organisation.Kind.values:
        raise DomainError("invalid", _("Enter the organisation's name as the public register has it."))
    organisation, _made = Organisation.objects.get_or_create(
        code=code, defaults={"name": name, "kind": kind, "contact": contact}
    )
    if organisation.is_checked and _compared(organisation.name) != _compared(name):
        raise DomainError(
            "another_name",
            _(
                "This code belongs to an organisation with another name. Enter the name exactly as the public register "
                "has it, or correct the code."
            ),
        )
    return organisation


def _compared(name: str) -> str:
    """A name without what people write one way or the other: width of brackets, spaces, capitals."""
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()


@transaction.atomic
def confirm_organisation(organisation: Organisation, *, by: User) -> None:
    """Notes that a person has compared name and code with the public register.

    Raises DomainError("checked_already").
    """
    current = Organisation.objects.select_for_update().get(pk=organisation.pk)
    if current.is_checked:
        raise DomainError("checked_already", _("This organisation was checked before."), 409)
    current.checked_by, current.checked_at = by, timezone.now()
    current.save(update_fields=["checked_by", "checked_at"])
    states.note(current, "unchecked", "checked", by=by, reason=f"{current.code} {current.name}")
