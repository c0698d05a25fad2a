"""The registry's API: what the officer's device sends and asks for, and the reviewer's decisions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.http import Http404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from carbonsink.accounts.models import signed_in
from carbonsink.errors import DomainError


class HasRole(IsAuthenticated):
    """Lets in users with one of the view's `roles` (or `roles_to[METHOD]`). For others there is nothing here: 404."""

    def has_permission(self, request: Request, view: Any) -> bool:
        roles = getattr(view, "roles_to", {}).get(request.method, view.roles)
        if super().has_permission(request, view) and not signed_in(request).has_role(*roles):
            raise Http404
        return super().has_permission(request, view)


@contextmanager
def conflicts_show(record: Callable[[], dict[str, Any] | None]) -> Iterator[None]:
    """Adds to a 409 the record that stands in the way, so that the officer sees both; None adds nothing."""
    try:
        yield
    except DomainError as error:
        found = record() if error.status == 409 else None
        if found is not None:
            error.details["record"] = found
        raise
