"""The officer's form for a household's bank account."""

import uuid

from django import forms
from django.utils.translation import gettext_lazy as _


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
