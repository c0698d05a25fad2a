"""Households as the officer's device registers them."""

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import OFFICER
from trees import registration
from trees.api import HasRole, conflicts_show
from trees.api.serializers import HouseholdIn, HouseholdOut
from trees.models import Household


def _stored(user: User, client_uuid: uuid.UUID) -> dict[str, Any] | None:
    """The household that has this UUID, if the user may see it."""
    found = Household.objects.visible_to(user).filter(client_uuid=client_uuid).first()
    return HouseholdOut(found).data if found else None


class Households(APIView):
    """Registering households."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=HouseholdIn, responses={201: HouseholdOut})
    def post(self, request: Request) -> Response:
        sent = HouseholdIn(data=request.data)
        sent.is_valid(raise_exception=True)
        officer, data = signed_in(request), sent.validated_data
        with conflicts_show(lambda: _stored(officer, data["client_uuid"])):
            household = registration.register_household(officer=officer, **data)
        return Response(HouseholdOut(household).data, status.HTTP_201_CREATED)
