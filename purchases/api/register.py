"""The public register of certificates."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink import limits
from carbonsink.pages import client_address
from purchases import register
from purchases.models import Certificate
from purchases.views.register import SEARCHES, SECONDS


class SearchIn(serializers.Serializer):
    """What to look for; `after` is the serial that ended the page before."""

    serial = serializers.CharField(max_length=20, default="")
    holder = serializers.CharField(max_length=80, default="")
    vintage = serializers.IntegerField(min_value=2000, max_value=2999, required=False)
    state = serializers.ChoiceField(Certificate.State.choices, default="")
    after = serializers.CharField(max_length=20, default="")


class EntryOut(serializers.Serializer):
    """A certificate as the register tells of it; names of individuals are masked."""

    serial = serializers.CharField()
    vintage = serializers.IntegerField()
    trees = serializers.IntegerField()
    kg = serializers.IntegerField()
    holder = serializers.CharField()
    standing = serializers.CharField()
    issued_on = serializers.DateField()
    retired_on = serializers.DateField(allow_null=True)
    beneficiary = serializers.CharField()
    purpose = serializers.CharField()


class PageOut(serializers.Serializer):
    """Entries, the newest first; `after` is empty on the last page."""

    entries = EntryOut(many=True)
    after = serializers.CharField()


class Register(APIView):
    """Search of the register."""

    permission_classes = [AllowAny]

    @extend_schema(parameters=[SearchIn], responses=PageOut)
    def get(self, request: Request) -> Response:
        limits.allow("register", client_address(request._request), SEARCHES, SECONDS)
        wanted = SearchIn(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        return Response(PageOut(register.search(**wanted.validated_data)).data)
