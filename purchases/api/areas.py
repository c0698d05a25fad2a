"""What can be bought where."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from purchases import areas, vintages
from trees.models import Division


class AreaOut(serializers.Serializer):
    """An area with its trees of the vintage on sale."""

    code = serializers.CharField(source="division.code")
    name = serializers.CharField(source="division.name")
    level = serializers.CharField(source="division.level")
    total = serializers.IntegerField()
    sold = serializers.IntegerField()
    unsold = serializers.IntegerField()


class AreaDetail(APIView):
    """An area and the areas below it."""

    permission_classes = [AllowAny]

    @extend_schema(responses=AreaOut(many=True))
    def get(self, request: Request, code: str) -> Response:
        division = get_object_or_404(Division, code=code)
        tariff = vintages.current_tariff()
        if tariff is None:
            return Response([])
        found = [areas.whole(tariff.vintage, division), *areas.below(tariff.vintage, division)]
        return Response(AreaOut(found, many=True).data)
