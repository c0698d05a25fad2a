"""What the field app asks for: the day's data, who is signed in, a household's trees; and what it says of old trees."""

from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import OFFICER
from trees import day, inspections, registration
from trees.api import HasRole, conflicts_show
from trees.api.serializers import (
    CountedHouseholdOut,
    InspectionIn,
    InspectionOut,
    SpeciesOut,
    TreeOut,
    VillageOut,
)  # fmt: skip
from trees.models import ConsentText, Inspection, Programme


class OfficerOut(serializers.ModelSerializer):
    """Who is signed in."""

    class Meta:
        model = User
        fields = ["id", "name"]


class ProgrammeOut(serializers.ModelSerializer):
    """The rules by which the device checks a tree before it is sent."""

    class Meta:
        model = Programme
        fields = ["min_dbh_cm", "max_dbh_cm", "min_age_years", "max_trees_per_household"]


class ConsentTextOut(serializers.ModelSerializer):
    """What is read out and signed."""

    class Meta:
        model = ConsentText
        fields = ["version", "body"]


def _csrf(request: Request) -> str:
    """The token for the header of whatever changes something. It is bound to the session's cookie."""
    http: HttpRequest = request._request
    return get_token(http)


@method_decorator(gzip_page, name="dispatch")
class Day(APIView):
    """All that a device needs for a day without reception."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(
        responses=inline_serializer(
            "Day",
            {
                "officer": OfficerOut(),
                "csrf": serializers.CharField(),
                "server_time": serializers.DateTimeField(),
                "programme": ProgrammeOut(allow_null=True),
                "consent": ConsentTextOut(allow_null=True),
                "villages": VillageOut(many=True),
                "species": SpeciesOut(many=True),
                "households": CountedHouseholdOut(many=True),
                "attention": TreeOut(many=True),
            },
        )
    )
    def get(self, request: Request) -> Response:
        officer = signed_in(request)
        programme, consent = (
            Programme.objects.order_by("pk").last(),
            ConsentText.objects.order_by("published_at").last(),
        )
        answer: dict[str, Any] = {
            "officer": OfficerOut(officer).data,
            "csrf": _csrf(request),
            "server_time": timezone.now(),
            "programme": ProgrammeOut(programme).data if programme else None,
            "consent": ConsentTextOut(consent).data if consent else None,
            "villages": VillageOut(day.villages_of(officer), many=True).data,
            "species": SpeciesOut(day.species_list(), many=True).data,
            "households": CountedHouseholdOut(day.households_of(officer), many=True).data,
            "attention": TreeOut(TreeOut.rows(day.trees_to_correct(officer)), many=True).data,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


class Session(APIView):
    """Whether the device is still signed in, and the token it needs: asked before it sends its queue."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(responses=inline_serializer("Session", {"officer": OfficerOut(), "csrf": serializers.CharField()}))
    def get(self, request: Request) -> Response:
        answer = {"officer": OfficerOut(signed_in(request)).data, "csrf": _csrf(request)}
        return Response(answer, headers={"Cache-Control": "no-store"})


@method_decorator(gzip_page, name="dispatch")
class HouseholdTrees(APIView):
    """A household with all its trees."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(
        responses=inline_serializer("HouseholdTrees", {"household": CountedHouseholdOut(), "trees": TreeOut(many=True)})
    )
    def get(self, request: Request, reference: str) -> Response:
        officer = signed_in(request)
        household = registration.household_of(officer, reference)
        counted = day.households_of(officer).get(pk=household.pk)
        trees = TreeOut.rows(household.trees.order_by("ordinal"))
        return Response({"household": CountedHouseholdOut(counted).data, "trees": TreeOut(trees, many=True).data})


class Inspections(APIView):
    """Recording how a tree does."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=InspectionIn, responses={201: InspectionOut})
    def post(self, request: Request) -> Response:
        sent = InspectionIn(data=request.data)
        sent.is_valid(raise_exception=True)
        officer, data = signed_in(request), sent.validated_data
        tree = registration.tree_of(officer, data.pop("tree"))

        def stored() -> dict[str, Any] | None:
            found = Inspection.objects.filter(client_uuid=data["client_uuid"], tree=tree).first()
            return InspectionOut(found).data if found else None

        with conflicts_show(stored):
            inspection = inspections.record_inspection(tree, officer=officer, **data)
        return Response(InspectionOut(inspection).data, status.HTTP_201_CREATED)
