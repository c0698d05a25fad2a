"""Forms of the way out: a household's account, and what finance starts, approves and releases."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from carbonsink import crypto
from carbonsink.errors import DomainError
from payouts.accounts import check_number
from payouts.models import Run


class BankAccountForm(forms.Form):
    """An account as it stands on the card or passbook."""

    client_uuid = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    holder = forms.CharField(label=_("Account holder"), max_length=40)
    bank_name = forms.CharField(label=_("Bank and branch"), max_length=80)
    bank_code = forms.CharField(
        label=_("Bank code (CNAPS, 12 digits)"),
        max_length=20,
        widget=forms.TextInput({"inputmode": "numeric"}),
    )
    number = forms.CharField(
        label=_("Account number"),
        max_length=40,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
    )
    is_card = forms.BooleanField(label=_("It is a bank card (not a passbook)"), required=False, initial=True)
    # Asked only once a card's check digit does not fit.
    number_checked = forms.BooleanField(
        label=_("I have compared each digit: the number is right."), required=False, widget=forms.HiddenInput
    )
    # The digest of the number that was asked about: a tick is no answer for another one typed meanwhile.
    asked_about = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        asked_about = data.pop("asked_about", "")
        try:
            check_number(data.get("number", ""), is_card=data.get("is_card", False))
        except DomainError as error:
            if "confirm" in error.details:
                self.fields["number_checked"].widget = forms.CheckboxInput()
                about = crypto.digest(data["number"])
                if not data.get("number_checked") or asked_about != about:
                    self.add_error("number", error.message)
                    shown = {name: self.data[name] for name in self.data if name != "number_checked"}
                    self.data = shown | {"asked_about": about}
        return data


class ReasonForm(forms.Form):
    """Why something is done that somebody will ask about."""

    reason = forms.CharField(label=_("Why"), max_length=200)


class StartForm(forms.Form):
    """A run by hand."""

    kind = forms.ChoiceField(choices=[(Run.Kind.BY_HAND, ""), (Run.Kind.YEAR_END, "")], widget=forms.HiddenInput)
    sure = forms.BooleanField(label=_("Yes, pay now what is owed"))


class SeenForm(forms.Form):
    """How many payouts and how much the person had before them."""

    count = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    fen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class ReleaseForm(SeenForm, ReasonForm):
    """Owing all of them again, and why."""


class PayoutForm(ReasonForm):
    """Which payout a row of the statement belongs to: one of those suggested, or a number that was typed."""

    out_no = forms.CharField(label=_("Number of the payout or the file"), max_length=40, required=False)
    suggested = forms.CharField(max_length=40, required=False)
