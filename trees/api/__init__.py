"""The registry's API: what the officer's device sends, and the reviewer's decisions."""

from typing import Any

from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER, REVIEWER
from trees import photos, registration, review
from trees.models import Household, Photo, Review, Species, Tree


class HasRole(IsAuthenticated):
    """Lets in users with one of the view's `roles`. For other users there is nothing here (404)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if super().has_permission(request, view) and not signed_in(request).has_role(*view.roles):
            raise Http404
        return super().has_permission(request, view)


class HouseholdIn(serializers.Serializer):
    """A household as a device sends it."""

    client_uuid = serializers.UUIDField()
    village_code = serializers.RegexField(r"^\d{12}$")
    head_name = serializers.CharField(max_length=40)
    id_number = serializers.CharField(max_length=24)
    phone = serializers.CharField(max_length=20)
    category = serializers.ChoiceField(Household.Category.choices)
    area_mu = serializers.DecimalField(max_digits=6, decimal_places=2)
    tenure = serializers.ChoiceField(Household.Tenure.choices)
    tenure_number = serializers.CharField(max_length=60, allow_blank=True, default="")
    consent_version = serializers.CharField(max_length=20)
    consent_signed = serializers.BooleanField()


class HouseholdOut(serializers.ModelSerializer):
    """A household as its officer sees it: personal data masked."""

    village_code = serializers.CharField(source="village_id")

    class Meta:
        model = Household
        fields = [
            "public_id",
            "client_uuid",
            "village_code",
            "ordinal",
            "masked_name",
            "masked_phone",
            "registered_at",
        ]


class TreeIn(serializers.Serializer):
    """A tree as a device sends it."""

    client_uuid = serializers.UUIDField()
    household = serializers.CharField(max_length=36, help_text=_("The household's public id or client UUID."))
    species = serializers.CharField(max_length=80, help_text=_("The scientific name."))
    dbh_cm = serializers.DecimalField(max_digits=4, decimal_places=1, min_value=0, allow_null=True, default=None)
    planted_year = serializers.IntegerField(min_value=1800, max_value=2200, allow_null=True, default=None)
    lon = serializers.DecimalField(9, 6, min_value=-180, max_value=180, allow_null=True, default=None)
    lat = serializers.DecimalField(8, 6, min_value=-90, max_value=90, allow_null=True, default=None)
    accuracy_m = serializers.IntegerField(min_value=0, max_value=32000, allow_null=True, default=None)
    measured_on = serializers.DateField()
    captured_at = serializers.DateTimeField(
        allow_null=True, default=None, help_text=_("When the device recorded the tree, by its own clock.")
    )

    def validate_species(self, value: str) -> Species:
        """The species of that name."""
        found = Species.objects.filter(scientific_name=value).first()
        if found is None:
            raise serializers.ValidationError(_("This species is not on the list. Choose one of the list."))
        return found


class PhotoOut(serializers.ModelSerializer):
    """A photo's state; `refusal` says why one was refused, `refusal_code` says it in one word."""

    refusal = serializers.CharField(source="get_refusal_display")
    refusal_code = serializers.CharField(source="refusal")

    class Meta:
        model = Photo
        fields = ["sha256", "state", "refusal", "refusal_code"]


class TreeOut(serializers.ModelSerializer):
    """A tree as the registry knows it."""

    household = serializers.CharField(source="household.public_id")
    species = serializers.CharField(source="species.scientific_name")
    photos = PhotoOut(many=True)

    class Meta:
        model = Tree
        fields = [
            "number", "client_uuid", "household", "species", "dbh_cm", "planted_year",
            "measured_on", "state", "revision", "photos", "registered_at",
        ]  # fmt: skip


class PhotoIn(serializers.Serializer):
    """The file of a photo."""

    file = serializers.FileField()


class RejectIn(serializers.Serializer):
    """Why a tree goes back."""

    reason = serializers.ChoiceField(Review.Reason.choices)
    note = serializers.CharField(max_length=300, allow_blank=True, default="")


class Households(APIView):
    """Registering households."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=HouseholdIn, responses={201: HouseholdOut})
    def post(self, request: Request) -> Response:
        sent = HouseholdIn(data=request.data)
        sent.is_valid(raise_exception=True)
        household = registration.register_household(officer=signed_in(request), **sent.validated_data)
        return Response(HouseholdOut(household).data, status.HTTP_201_CREATED)


class Trees(APIView):
    """Registering trees."""

    permission_classes = [HasRole]
    roles = [OFFICER]

    @extend_schema(request=TreeIn, responses={201: TreeOut})
    def post(self, request: Request) -> Response:
        sent = TreeIn(data=request.data)
        sent.is_valid(raise_exception=True)
        data = sent.validated_data
        household = registration.household_of(signed_in(request), data.pop("household"))
        tree = registration.register_tree(officer=signed_in(request), household=household, **data)
        return Response(TreeOut(tree).data, status.HTTP_201_CREATED)


class TreeDetail(APIView):
    """One tree."""

    permission_classes = [HasRole]
    roles = [OFFICER, REVIEWER]

    def tree(self, request: Request, number: str) -> Tree:
        """The tree, if the user may see it; else 404."""
        trees = Tree.objects.visible_to(request.user).select_related("species", "household")
        return get_object_or_404(trees.prefetch_related("photos"), number=number)

    @extend_schema(responses=TreeOut)
    def get(self, request: Request, number: str) -> Response:
        return Response(TreeOut(self.tree(request, number)).data)


class TreePhotos(TreeDetail):
    """Photos of a tree."""

    roles = [OFFICER]
    http_method_names = ["post"]

    @extend_schema(request={"multipart/form-data": PhotoIn}, responses={201: PhotoOut})
    def post(self, request: Request, number: str) -> Response:
        tree = self.tree(request, number)
        sent = PhotoIn(data=request.data)
        sent.is_valid(raise_exception=True)
        with transaction.atomic():
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
        return Response(TreeOut(tree).data)


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
        return Response(TreeOut(tree).data)
