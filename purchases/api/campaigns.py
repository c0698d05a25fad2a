"""How far a campaign has come."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from purchases import campaign_drawing, campaigns
from purchases.models import Campaign


class CampaignOut(serializers.ModelSerializer):
    """A campaign as its page shows it; `trees` are those paid and not refunded, at most a minute ago."""

    trees = serializers.SerializerMethodField()
    is_open = serializers.BooleanField(read_only=True)
    page = serializers.SerializerMethodField()

    class Meta:
        model = Campaign
        fields = [
            "slug", "title", "story", "owner", "target_trees", "trees", "area", "species", "begins_on", "ends_on",
            "state", "is_open", "page",
        ]  # fmt: skip

    def get_trees(self, campaign: Campaign) -> int:
        """Trees paid through it."""
        return campaigns.progress(campaign).trees

    def get_page(self, campaign: Campaign) -> str:
        """Its public page."""
        return campaign_drawing.address(campaign)


class CampaignDetail(APIView):
    """A campaign that runs or ran."""

    permission_classes = [AllowAny]

    @extend_schema(responses=CampaignOut)
    def get(self, request: Request, slug: str) -> Response:
        return Response(CampaignOut(get_object_or_404(campaigns.public(), slug=slug)).data)
