"""What goes over the registry's API: input apart from output, each field named."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from trees.models import Household, Inspection, Photo, Review, Species, Tree


class DeviceTimeField(serializers.DateTimeField):
    """A time by a device's clock. The plain field fails where the year 1 or 9999 has another zone's neighbour."""

    def to_internal_value(self, value: Any) -> Any:
        try:
            return super().to_internal_value(value)
        except OverflowError:
            self.fail("overflow")


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
    consent_signed_at = DeviceTimeField(
        allow_null=True, default=None, help_text=_("When it was signed, by the device's clock.")
    )
    signature = serializers.CharField(
        allow_blank=True, default="", help_text=_("What was signed on the screen: a PNG as data URL, at most 60 kB.")
    )


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


class CountedHouseholdOut(serializers.ModelSerializer):
    """A household in a list: how many trees it has, and how far they are."""

    village_code = serializers.CharField(source="village_id")
    trees = serializers.IntegerField(source="trees_in_all")
    approved = serializers.IntegerField(source="trees_approved")
    rejected = serializers.IntegerField(source="trees_rejected")

    class Meta:
        model = Household
        fields = ["public_id", "client_uuid", "village_code", "ordinal", "masked_name", "trees", "approved", "rejected"]


class MeasurementIn(serializers.Serializer):
    """What is measured about a tree."""

    species = serializers.CharField(max_length=80, help_text=_("The scientific name."))
    dbh_cm = serializers.DecimalField(max_digits=4, decimal_places=1, min_value=0, allow_null=True, default=None)
    planted_year = serializers.IntegerField(min_value=1800, max_value=2200, allow_null=True, default=None)
    lon = serializers.DecimalField(9, 6, min_value=-180, max_value=180, allow_null=True, default=None)
    lat = serializers.DecimalField(8, 6, min_value=-90, max_value=90, allow_null=True, default=None)
    accuracy_m = serializers.IntegerField(min_value=0, max_value=32000, allow_null=True, default=None)
    measured_on = serializers.DateField()
    captured_at = DeviceTimeField(
        allow_null=True, default=None, help_text=_("When the device recorded the tree, by its own clock.")
    )

    def validate_species(self, value: str) -> Species:
        """The species of that name."""
        found = Species.objects.filter(scientific_name=value).first()
        if found is None:
            raise serializers.ValidationError(_("This species is not on the list. Choose one of the list."))
        return found


class TreeIn(MeasurementIn):
    """A tree as a device sends it."""

    client_uuid = serializers.UUIDField()
    household = serializers.CharField(max_length=36, help_text=_("The household's public id or client UUID."))


class CorrectionIn(MeasurementIn):
    """A tree as it should be, and the revision that was corrected."""

    revision = serializers.IntegerField(min_value=1, max_value=32000)


class PhotoOut(serializers.ModelSerializer):
    """A photo's state; `refusal` says why one was refused, `refusal_code` says it in one word."""

    refusal = serializers.CharField(source="get_refusal_display")
    refusal_code = serializers.CharField(source="refusal")

    class Meta:
        model = Photo
        fields = ["sha256", "state", "refusal", "refusal_code"]


class ReviewOut(serializers.ModelSerializer):
    """What a reviewer decided, and why."""

    reason_text = serializers.CharField(source="get_reason_display")

    class Meta:
        model = Review
        fields = ["decision", "reason", "reason_text", "note", "at"]


class TreeOut(serializers.ModelSerializer):
    """A tree as the registry knows it, for who may see its household."""

    household = serializers.CharField(source="household.public_id")
    species = serializers.CharField(source="species.scientific_name")
    state_text = serializers.CharField(source="get_state_display")
    photos = PhotoOut(many=True)
    picture = serializers.SerializerMethodField(help_text=_("Address of the small public picture."))
    review = serializers.SerializerMethodField(help_text=_("The newest review."))

    class Meta:
        model = Tree
        fields = [
            "number", "client_uuid", "household", "species", "dbh_cm", "planted_year", "lon", "lat", "accuracy_m",
            "measured_on", "state", "state_text", "revision", "photos", "picture", "review", "registered_at",
        ]  # fmt: skip

    @staticmethod
    def rows(trees: QuerySet[Tree]) -> QuerySet[Tree]:
        """The trees with all that is shown of them, in the same few statements however many they are."""
        personal = [f"household__{name}" for name in ("head_name", "id_number", "phone")]
        return (
            trees.select_related("species", "household", "picture")
            .defer(*personal)  # Each would be decrypted, for every tree.
            .prefetch_related(
                Prefetch("photos", Photo.objects.order_by("pk")), Prefetch("reviews", Review.objects.order_by("-pk"))
            )
        )

    @classmethod
    def of(cls, tree: Tree) -> dict[str, Any]:
        """One tree as it is stored now."""
        return cls(cls.rows(Tree.objects.filter(pk=tree.pk)).get()).data

    def get_picture(self, tree: Tree) -> str | None:
        """None while no photo is accepted."""
        return tree.picture.small.url if tree.picture else None

    @extend_schema_field(ReviewOut(allow_null=True))
    def get_review(self, tree: Tree) -> dict[str, Any] | None:
        """None before the first one."""
        newest = next(iter(tree.reviews.all()), None)
        return ReviewOut(newest).data if newest else None


class PhotoIn(serializers.Serializer):
    """The file of a photo."""

    file = serializers.FileField()


class RejectIn(serializers.Serializer):
    """Why a tree goes back."""

    reason = serializers.ChoiceField(Review.Reason.choices)
    note = serializers.CharField(max_length=300, allow_blank=True, default="")


class InspectionIn(serializers.Serializer):
    """How a tree does, as a device sends it."""

    client_uuid = serializers.UUIDField()
    tree = serializers.CharField(max_length=36, help_text=_("The tree's number or client UUID."))
    condition = serializers.ChoiceField(Inspection.Condition.choices)
    cause = serializers.ChoiceField(Inspection.Cause.choices, allow_blank=True, default="")
    dbh_cm = serializers.DecimalField(max_digits=4, decimal_places=1, min_value=0, allow_null=True, default=None)
    lon = serializers.DecimalField(9, 6, min_value=-180, max_value=180, allow_null=True, default=None)
    lat = serializers.DecimalField(8, 6, min_value=-90, max_value=90, allow_null=True, default=None)
    accuracy_m = serializers.IntegerField(min_value=0, max_value=32000, allow_null=True, default=None)
    inspected_on = serializers.DateField()
    note = serializers.CharField(max_length=300, allow_blank=True, default="")


class InspectionOut(serializers.ModelSerializer):
    """An inspection as it is stored, and what became of the tree."""

    tree = serializers.CharField(source="tree.number")
    tree_state = serializers.CharField(source="tree.state")
    state_text = serializers.CharField(source="get_state_display")

    class Meta:
        model = Inspection
        fields = [
            "client_uuid", "tree", "condition", "cause", "dbh_cm", "inspected_on", "note", "state", "state_text",
            "tree_state",
        ]  # fmt: skip


class UploadIn(serializers.Serializer):
    """The photo that is to come in parts."""

    tree = serializers.CharField(max_length=36, help_text=_("The tree's number or client UUID."))
    inspection = serializers.UUIDField(allow_null=True, default=None)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}$")
    size = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text=_("Bytes in all."))


class PartOf(serializers.Serializer):
    """Where the bytes of a part belong."""

    tree = serializers.CharField(max_length=36, help_text=_("The tree's number or client UUID."))
    offset = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class UploadOut(serializers.Serializer):
    """How far a photo has arrived: go on from `offset`. With `photo` the server has it whole."""

    offset = serializers.IntegerField()
    photo = PhotoOut(allow_null=True)


class VillageOut(serializers.Serializer):
    """A village, with the names of what it lies in."""

    code = serializers.CharField()
    name = serializers.CharField()
    path = serializers.CharField()


class SpeciesOut(serializers.ModelSerializer):
    """A species of the list."""

    class Meta:
        model = Species
        fields = ["scientific_name", "name_zh", "name_en", "form"]
