"""The application for a campaign. It checks form; `apply_for_campaign` checks everything that matters."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from purchases.models import Campaign, Organisation
from trees.models import Division, Species


def _day() -> forms.DateInput:
    return forms.DateInput({"type": "date"}, format="%Y-%m-%d")


class CampaignForm(forms.Form):
    """Who asks for which trees, until when, and how the office reaches them."""

    title = forms.CharField(label=_("Title"), max_length=60)
    owner = forms.CharField(
        label=_("Whose campaign is it?"),
        max_length=80,
        help_text=_("The school, firm, conference or person, as it shall stand on the page."),
    )
    story = forms.CharField(label=_("What is it about?"), max_length=2000, widget=forms.Textarea({"rows": 6}))
    target_trees = forms.IntegerField(
        label=_("How many trees do you aim for?"),
        min_value=1,
        max_value=10_000_000,
        widget=forms.NumberInput({"inputmode": "numeric"}),
    )
    begins_on = forms.DateField(label=_("First day"), widget=_day(), initial=timezone.localdate)
    ends_on = forms.DateField(
        label=_("Last day"), widget=_day(), initial=lambda: timezone.localdate() + timedelta(days=30)
    )
    area = forms.CharField(
        label=_("Trees of which place?"),
        max_length=12,
        required=False,
        help_text=_("The 12 digits in the address of the place's page; empty for anywhere."),
    )
    species = forms.ModelChoiceField(
        label=_("Trees of which species?"), queryset=Species.objects.all(), required=False, empty_label=_("any")
    )
    slug = forms.CharField(
        label=_("Address of its page"),
        max_length=40,
        help_text=_("Small letters, digits and hyphens, such as class-of-2026."),
        validators=[Campaign._meta.get_field("slug").validators[0]],
        widget=forms.TextInput({"autocapitalize": "none", "spellcheck": "false"}),
    )
    organisation_code = forms.CharField(
        label=_("Unified social credit code"),
        max_length=18,
        required=False,
        help_text=_("If an organisation stands behind it: the office checks it, and the page says so."),
        widget=forms.TextInput({"autocapitalize": "characters", "spellcheck": "false"}),
    )
    organisation_kind = forms.ChoiceField(
        label=_("Kind of organisation"), choices=[("", "—"), *Organisation.Kind.choices], required=False
    )
    contact = forms.CharField(
        label=_("Mobile number or e-mail"),
        max_length=254,
        widget=forms.TextInput({"autocomplete": "email", "inputmode": "email"}),
        help_text=_("For the office's answer. It is not shown."),
    )
    # People do not see it; programs that fill in every field do.
    website = forms.CharField(required=False, widget=forms.TextInput({"tabindex": "-1", "autocomplete": "off"}))

    def clean_area(self) -> Division | None:
        code = self.cleaned_data["area"].strip()
        if not code:
            return None
        found = Division.objects.filter(code=code).first() if code.isascii() and code.isdigit() else None
        if found is None:
            raise forms.ValidationError(_("No place has this code. Copy it from the address of the place's page."))
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("organisation_code") and not data.get("organisation_kind"):
            self.add_error("organisation_kind", _("Choose what kind of organisation it is."))
        return data
