"""The error a user can cause, and how it reaches a page. The API's side is in `carbonsink.api`."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise


class DomainError(Exception):
    """Something the user asked for cannot be done; nothing was stored.

    `code` is stable and for programs; `message` is one translated sentence saying what to do;
    `status` is the HTTP status (4xx); `details` are extra JSON-able values for the API.
    """

    def __init__(self, code: str, message: str | Promise, status: int = 400, **details: Any) -> None:
        super().__init__(str(message))
        self.code = code
        self.message = str(message)
        self.status = status
        self.details = details


class RequestSizeMiddleware:
    """Refuses requests longer than REQUEST_MAX_BYTES before anything of them is read or written to disk."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > settings.REQUEST_MAX_BYTES:
            return HttpResponse("This is too large. Send a smaller photo.\n", status=413, content_type="text/plain")
        return self.get_response(request)


class DomainErrorMiddleware:
    """Shows a DomainError that a page did not handle as a page with the sentence and the right status.

    An address with a NUL leads nowhere (404): PostgreSQL has no text with one, so nothing can be looked up by it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError):
            return None
        return render(request, "error.html", {"message": exception.message}, status=exception.status)
