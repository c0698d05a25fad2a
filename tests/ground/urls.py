"""The platform's addresses, and a few that fail in known ways."""

import logging

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.errors import DomainError
from carbonsink.urls import urlpatterns as platform


def refuse(request: HttpRequest) -> HttpResponse:
    raise DomainError("sold_out", "Only 40 <trees> are left.", 409, left=40)


def note(request: HttpRequest) -> HttpResponse:
    logging.getLogger("carbonsink.test").info("by the book")
    structlog.get_logger("carbonsink.test").info("structured", trees=3)
    return HttpResponse("ok")


def crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")


class Errors(APIView):
    permission_classes: list[type] = []

    def get(self, request: Request, kind: str) -> Response:
        raise {
            "domain": DomainError("sold_out", "Only 40 trees are left.", 409, left=40),
            "missing": Http404("No Tree matches the given query."),
            "denied": PermissionDenied("internal reason"),
        }[kind]

    def post(self, request: Request, kind: str) -> Response:
        return Response({"got": request.data})


urlpatterns = [
    path("test/refuse/", refuse),
    path("test/note/", note),
    path("test/crash/", crash),
    path("api/v1/test/<str:kind>", Errors.as_view()),
    *platform,
]
