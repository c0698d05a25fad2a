"""What can be bought: the species on sale, and the trees for sale, a page at a time."""

from django.conf import settings
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from purchases import catalogue, kinds, vintages
from purchases.models import Tariff
from trees.models import Division, Species, Tree

PAGE = 50


class SpeciesOut(serializers.Serializer):
    """A species with about how many of its trees are for sale."""

    id = serializers.IntegerField(source="species.pk")
    scientific_name = serializers.CharField(source="species.scientific_name")
    name_zh = serializers.CharField(source="species.name_zh")
    name_en = serializers.CharField(source="species.name_en")
    form = serializers.ChoiceField(Species.Form.choices, source="species.form")
    about_unsold = serializers.IntegerField(source="unsold")


class TreeOut(serializers.Serializer):
    """A tree for sale, as the public sees it: masked name, position rounded to about 1 km."""

    number = serializers.CharField()
    species = serializers.IntegerField(source="species_id")
    dbh_cm = serializers.DecimalField(max_digits=4, decimal_places=1, allow_null=True)
    planted_year = serializers.IntegerField(allow_null=True)
    village = serializers.CharField(source="household.village_id")
    household = serializers.CharField(source="household.public_id")
    household_name = serializers.CharField(source="household.masked_name")
    position = serializers.ListField(
        child=serializers.FloatField(), source="public_position", allow_null=True, help_text="longitude, latitude"
    )
    picture = serializers.SerializerMethodField()
    page = serializers.SerializerMethodField()

    def get_picture(self, tree: Tree) -> str | None:
        """Where its newest photo is."""
        return settings.PUBLIC_BASE_URL + tree.picture.small.url if tree.picture else None

    def get_page(self, tree: Tree) -> str:
        """Its public page."""
        return settings.PUBLIC_BASE_URL + reverse("purchases:tree", args=[tree.number])


class TreePage(serializers.Serializer):
    """Some trees; `next` is the cursor of the following page, or null at the end."""

    vintage = serializers.IntegerField(allow_null=True)
    price_fen = serializers.IntegerField(allow_null=True)
    trees = TreeOut(many=True)
    next = serializers.CharField(allow_null=True)


class SpeciesList(APIView):
    """The species with trees for sale."""

    permission_classes = [AllowAny]

    @extend_schema(responses=SpeciesOut(many=True))
    def get(self, request: Request) -> Response:
        tariff = vintages.current_tariff()
        return Response(SpeciesOut(kinds.of_area(tariff.vintage) if tariff else [], many=True).data)


class TreesForSale(APIView):
    """Trees for sale of an area, of a species, of both, or of all, household by household. Of a species a page may be
    empty and yet not the last: go on while there is a `next`."""

    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="trees_for_sale",
        responses=TreePage,
        parameters=[
            OpenApiParameter("area", str, description="code of a division, 12 digits"),
            OpenApiParameter("species", int, description="id of a species"),
            OpenApiParameter("cursor", str, description="`next` of the page before"),
        ],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        code, species = asked.get("area", ""), asked.get("species", "")
        if species and not (species.isascii() and species.isdigit() and len(species) < 19):
            raise serializers.ValidationError({"species": ["This is not the id of a species."]})
        area = get_object_or_404(Division, code=code) if code else None
        kind = get_object_or_404(Species, pk=int(species)) if species else None
        tariff = vintages.current_tariff()
        page = _page(tariff, area, kind, asked.get("cursor", ""))
        content = {
            "vintage": tariff.vintage if tariff else None,
            "price_fen": tariff.price_fen if tariff else None,
            "trees": page.trees,
            "next": page.next or None,
        }
        return Response(TreePage(content).data)


def _page(tariff: Tariff | None, area: Division | None, kind: Species | None, cursor: str) -> catalogue.Page:
    if tariff is None:
        return catalogue.Page([], "")
    return catalogue.for_sale(tariff.vintage, area=area, species=kind, after=cursor, size=PAGE)
