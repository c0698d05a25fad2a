"""The error a user can cause, and how it reaches a page. The API's side is in `carbonsink.api`."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
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


class DomainErrorMiddleware:
    """Shows a DomainError that a page did not handle as a page with the sentence and the right status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DomainError):
            return None
        return render(request, "error.html", {"message": exception.message}, status=exception.status)
