"""The officer's and the reviewer's forms. They check form; the services check everything that matters."""

import uuid
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from carbonsink.accounts.models import User
from trees.models import ConsentText, Division, Household, Review, SecondLook, Species, Tree


class HouseholdForm(forms.ModelForm):
    """A new household, with its consent."""

    client_uuid = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    village = forms.ModelChoiceField(Division.objects.none(), label=_("Village"))
    head_name = forms.CharField(label=_("Head of household"), max_length=40)
    id_number = forms.CharField(label=_("ID number"), max_length=24, widget=forms.TextInput({"autocomplete": "off"}))
    phone = forms.CharField(label=_("Mobile number"), max_length=20, widget=forms.TextInput({"inputmode": "tel"}))
    consent_version = forms.CharField(widget=forms.HiddenInput)
    consent_signed = forms.BooleanField(
        label=_("The head of household has read or heard this text and signed it."), required=False
    )

    class Meta:
        model = Household
        fields = ["head_name", "id_number", "phone", "category", "area_mu", "tenure", "tenure_number"]
        widgets = {"area_mu": forms.NumberInput({"inputmode": "decimal", "step": "0.01", "min": "0.01"})}

    field_order = ["client_uuid", "village"]

    def __init__(self, *args: Any, officer: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        villages = Division.objects.filter(level=Division.Level.VILLAGE, code__startswith=officer.area or "-")
        self.fields["village"].queryset = villages  # type: ignore[attr-defined]
        self.consent_text = ConsentText.objects.order_by("published_at").last()
        if self.consent_text is not None:
            self.fields["consent_version"].initial = self.consent_text.version

    def _post_clean(self) -> None:
        """No model validation here: the service says what is wrong in one sentence each."""


class TreeForm(forms.ModelForm):
    """A new tree with its photo."""

    client_uuid = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    photo = forms.FileField(label=_("Photo"), widget=forms.FileInput({"accept": "image/*", "capture": "environment"}))
    dbh_cm = forms.DecimalField(
        label=_("DBH (cm)"),
        max_digits=4,
        decimal_places=1,
        min_value=0,
        required=False,
        widget=forms.NumberInput({"inputmode": "decimal", "step": "0.1"}),
        help_text=_("Diameter at 1.3 m above the ground: girth ÷ 3.14."),
    )
    planted_year = forms.IntegerField(
        label=_("Planted in (year)"),
        min_value=1800,
        max_value=2200,
        required=False,
        widget=forms.NumberInput({"inputmode": "numeric"}),
    )
    species = forms.ModelChoiceField(Species.objects.all(), label=_("Species"))
    lon = forms.DecimalField(widget=forms.HiddenInput, required=False, min_value=-180, max_value=180)
    lat = forms.DecimalField(widget=forms.HiddenInput, required=False, min_value=-90, max_value=90)
    accuracy_m = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0, max_value=32000)
    measured_on = forms.DateField(
        label=_("Measured on"),
        initial=timezone.localdate,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    class Meta:
        model = Tree
        fields = ["species", "dbh_cm", "planted_year", "lon", "lat", "accuracy_m", "measured_on"]

    field_order = ["client_uuid", "photo", "species", "dbh_cm", "planted_year", "measured_on"]

    def _post_clean(self) -> None:
        """No model validation here: the service says what is wrong in one sentence each."""


class CorrectionForm(TreeForm):
    """A tree as it should be, and another photo if one is needed."""

    client_uuid = None  # type: ignore[assignment]
    revision = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=32000)
    photo = forms.FileField(
        label=_("Another photo"),
        widget=forms.FileInput({"accept": "image/*", "capture": "environment"}),
        required=False,
    )

    field_order = ["revision", "photo", "species", "dbh_cm", "planted_year", "measured_on"]


class TagsForm(forms.Form):
    """Which tags to print, by the ordinals of the trees, and how large."""

    size = forms.ChoiceField(
        label=_("Size"),
        choices=[
            ("small", _("small, 24 on a sheet")),
            ("medium", _("medium, 10 on a sheet")),
            ("large", _("large, 3 on a sheet")),
        ],
        initial="medium",
    )
    first = forms.IntegerField(
        label=_("From tree"), min_value=1, max_value=999, required=False, widget=forms.NumberInput({"placeholder": 1})
    )
    last = forms.IntegerField(
        label=_("To tree"), min_value=1, max_value=999, required=False, widget=forms.NumberInput({"placeholder": 999})
    )

    def add_prefix(self, field_name: str) -> str:
        """In the address they are called `from` and `to`."""
        return {"first": "from", "last": "to"}.get(field_name, field_name)


class DecisionForm(forms.Form):
    """A reviewer's decision about one tree, or about many. All but an approval need a reason."""

    decision = forms.ChoiceField(choices=Review.Decision, widget=forms.HiddenInput)
    seen = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)
    reason = forms.ChoiceField(label=_("Reason"), choices=Review.Reason, required=False)
    note = forms.CharField(label=_("Note"), max_length=300, required=False)

    def clean(self) -> dict[str, Any]:
        """Asks for the reason where one is needed."""
        data = super().clean() or {}
        if data.get("decision") != Review.Decision.APPROVED and not data.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Choose the reason."))
        return data


class HouseholdNoteForm(forms.Form):
    """What somebody found out about a household whose flags they looked into, and the tree they came from."""

    tree = forms.CharField(max_length=19, required=False)
    note = forms.CharField(max_length=300, required=False)


class SecondLookForm(forms.Form):
    """What a second reviewer finds."""

    verdict = forms.ChoiceField(choices=SecondLook.Verdict, widget=forms.HiddenInput)
    reason = forms.ChoiceField(label=_("Reason"), choices=Review.Reason, required=False)
    note = forms.CharField(label=_("Note"), max_length=300, required=False)
