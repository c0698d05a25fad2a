"""What the admin pages of all apps share: rows are read there, and acted on by named actions only."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.errors import DomainError

M = TypeVar("M", bound=Model)


def column(
    name: str, title: Any, shown: Callable[[Any], object] = lambda value: value
) -> Callable[[Any, Model], object]:
    """A column of a list that shows a field under a title in the reader's language, such as a year without a comma or
    an amount in yuan."""

    @admin.display(description=title, ordering=name)
    def show(_admin: Any, row: Model) -> object:
        value = getattr(row, name)
        return None if value is None else shown(value)

    return show


class ReadOnlyMixin:
    """Rows that only the services write."""

    def has_add_permission(self, *args: object) -> bool:
        return False

    def has_change_permission(self, *args: object) -> bool:
        return False

    def has_delete_permission(self, *args: object) -> bool:
        return False


class FinanceMixin(ReadOnlyMixin):
    """Rows whose actions are finance's alone."""

    def has_finance_permission(self, request: HttpRequest) -> bool:
        return signed_in(request).has_role(FINANCE)


def for_each(request: HttpRequest, queryset: QuerySet[M], act: Callable[[M], object]) -> None:
    """Acts on each chosen row, and says how many went well and what stood in the way of the others."""
    done = 0
    for row in queryset:
        try:
            act(row)
        except DomainError as error:
            messages.error(request, f"{row}: {error.message}")
        else:
            done += 1
    messages.success(request, _("Done: %(count)s") % {"count": done})


# What the admin's theme says in no Chinese of its own.
UNTRANSLATED = (gettext_noop("Type to search"), gettext_noop("Select all rows"), gettext_noop("Select record"))
