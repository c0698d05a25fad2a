"""Trees: registered, looked at and corrected by officers, decided about by reviewers."""

import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import OFFICER, REVIEWER
from trees import corrections, photos, registration, review
from trees.api import HasRole, conflicts_show
from trees.api.serializers import CorrectionIn, PhotoIn, PhotoOut, RejectIn, TreeIn, TreeOut
from trees.models import Tree


def _stored(user: User, client_uuid: uuid.UUID) -> dict[str, Any] | None:
    """The tree that has this UUID, if the user may see it."""
    found = Tree.objects.visible_to(user).filter(client_uuid=client_uuid).first()
    return TreeOut.of(found) if found else None


class Trees(APIView):
    """Registering trees."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=TreeIn, responses={201: TreeOut})
    def post(self, request: Request) -> Response:
        sent = TreeIn(data=request.data)
        sent.is_valid(raise_exception=True)
        officer, data = signed_in(request), sent.validated_data
        household = registration.household_of(officer, data.pop("household"))
        with conflicts_show(lambda: _stored(officer, data["client_uuid"])):
            tree = registration.register_tree(officer=officer, household=household, **data)
        return Response(TreeOut.of(tree), status.HTTP_201_CREATED)


class TreeDetail(APIView):
    """One tree."""

    permission_classes = [HasRole]
    roles = [OFFICER, REVIEWER]
    roles_to = {"PUT": [OFFICER]}

    def tree(self, request: Request, number: str) -> Tree:
        """The tree with this number or client UUID, if the user may see it; else 404."""
        found = registration.find_tree(signed_in(request), number)
        if found is None:
            raise Http404
        return found

    @extend_schema(responses=TreeOut)
    def get(self, request: Request, number: str) -> Response:
        return Response(TreeOut.of(self.tree(request, number)))

    @extend_schema(request=CorrectionIn, responses=TreeOut)
    def put(self, request: Request, number: str) -> Response:
        tree = self.tree(request, number)
        sent = CorrectionIn(data=request.data)
        sent.is_valid(raise_exception=True)
        with conflicts_show(lambda: TreeOut.of(tree)):
            corrections.correct_tree(tree, officer=signed_in(request), **sent.validated_data)
        return Response(TreeOut.of(tree))


class TreePhotos(TreeDetail):
    """Photos of a tree, each sent whole."""

    roles = [OFFICER]
    http_method_names = ["post"]

    @extend_schema(request={"multipart/form-data": PhotoIn}, responses={201: PhotoOut})
    def post(self, request: Request, number: str) -> Response:
        tree = self.tree(request, number)
        sent = PhotoIn(data=request.data)
        sent.is_valid(raise_exception=True)
        photo = photos.take_photo(tree, sent.validated_data["file"], officer=signed_in(request))
        return Response(PhotoOut(photo).data, status.HTTP_201_CREATED)


class TreeApproval(TreeDetail):
    """Approving a tree."""

    roles = [REVIEWER]
    http_method_names = ["post"]

    @extend_schema(request=None, responses=TreeOut)
    def post(self, request: Request, number: str) -> Response:
        tree = self.tree(request, number)
        review.approve_tree(tree, reviewer=signed_in(request))
        return Response(TreeOut.of(tree))


class TreeRejection(TreeDetail):
    """Rejecting a tree."""

    roles = [REVIEWER]
    http_method_names = ["post"]

    @extend_schema(request=RejectIn, responses=TreeOut)
    def post(self, request: Request, number: str) -> Response:
        tree = self.tree(request, number)
        sent = RejectIn(data=request.data)
        sent.is_valid(raise_exception=True)
        review.reject_tree(tree, reviewer=signed_in(request), **sent.validated_data)
        return Response(TreeOut.of(tree))
