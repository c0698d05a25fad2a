"""The buyer's form. It checks form; `place_order` checks everything that matters."""

import uuid

from django import forms
from django.utils.translation import gettext_lazy as _


class OrderForm(forms.Form):
    """One named tree, or a number of trees of an area."""

    form_token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    quantity = forms.IntegerField(
        label=_("How many trees"),
        initial=1,
        min_value=1,
        max_value=10**9,
        widget=forms.NumberInput({"inputmode": "numeric"}),
        error_messages={
            "invalid": _("Enter a whole number of trees, such as 10."),
            "min_value": _("Choose at least one tree."),
        },
    )
    contact = forms.CharField(
        label=_("Mobile number or e-mail"),
        max_length=254,
        widget=forms.TextInput({"autocomplete": "email", "inputmode": "email"}),
        help_text=_("Only for your receipt."),
    )
    holder = forms.CharField(
        label=_("Name on the certificate"),
        max_length=80,
        required=False,
        widget=forms.TextInput({"autocomplete": "name"}),
        help_text=_("Leave empty to stay anonymous."),
    )
