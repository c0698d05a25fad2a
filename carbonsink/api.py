"""What all APIs share: one error shape, and the hash that binds an idempotency key to a body."""

import hashlib
import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

from carbonsink.errors import DomainError


def body_hash(data: Any) -> str:
    """SHA-256 (hex) of a JSON-able value in canonical form: the same content gives the same hash."""
    canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _first_sentence(detail: Any) -> str:
    """The first message of DRF's nested error detail, with the field it belongs to."""
    if isinstance(detail, dict):
        field, value = next(iter(detail.items()))
        sentence = _first_sentence(value)
        return sentence if field in ("non_field_errors", "detail") else f"{field}: {sentence}"
    if isinstance(detail, list):
        return _first_sentence(detail[0])
    return str(detail)


def _sendable(value: Any) -> Any:
    """What was sent to us, as it can be sent back: half a character of UTF-16 has no UTF-8."""
    if isinstance(value, dict):
        return {name: _sendable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_sendable(inner) for inner in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Answers every expected error as `{"code", "message", …}`; unexpected ones stay 500s."""
    if isinstance(exc, DomainError):
        return Response({"code": exc.code, "message": str(exc.message), **exc.details}, status=exc.status)
    if isinstance(exc, RecursionError):
        exc = exceptions.ParseError(_("The JSON is nested too deeply."))
    if isinstance(exc, Http404):
        exc = exceptions.NotFound(_("There is nothing at this address, or it is not yours to see."))
    if isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    response = drf_exception_handler(exc, context)
    if response is None or not isinstance(exc, exceptions.APIException):
        return response
    if isinstance(exc, exceptions.ValidationError):
        fields = exc.detail if isinstance(exc.detail, dict) else {}
        response.data = _sendable({"code": "invalid", "message": _first_sentence(exc.detail), "fields": fields})
    else:
        response.data = {"code": exc.default_code, "message": _first_sentence(exc.detail)}
    return response
