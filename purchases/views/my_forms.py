"""Forms of "my trees" and of gifts. They check form; the services check everything that matters."""

import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from carbonsink.errors import DomainError
from purchases.orders import check_contact, check_holder


class ContactField(forms.CharField):
    """A mobile number or an e-mail address, normalised."""

    def __init__(self, **options: Any) -> None:
        widget = forms.TextInput({"autocomplete": "email", "inputmode": "email"})
        super().__init__(**{"label": _("Mobile number or e-mail"), "max_length": 254, "widget": widget, **options})

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return check_contact(text) if text else ""
        except DomainError as error:
            raise forms.ValidationError(error.message) from error


class NameField(forms.CharField):
    """A name without characters that are not seen."""

    def clean(self, value: Any) -> str:
        try:
            return check_holder(super().clean(value))
        except DomainError as error:
            raise forms.ValidationError(error.message) from error


def trees_field(most: int = 10**9, **options: Any) -> forms.IntegerField:
    """How many trees, from 1 on."""
    widget = forms.NumberInput({"inputmode": "numeric"})
    options = {"label": _("Number of trees"), "initial": most, **options}
    return forms.IntegerField(min_value=1, max_value=most, widget=widget, **options)


class LinkForm(forms.Form):
    """Where the link to somebody's trees is sent."""

    contact = ContactField(help_text=_("The one you gave when you ordered."))


class SureForm(forms.Form):
    """Something for ever: sent once to be shown again, and once more to be done."""

    sure = forms.BooleanField(required=False, widget=forms.HiddenInput)


class RetireForm(SureForm):
    """For whom and what for sinks are used up."""

    trees = trees_field()
    beneficiary = NameField(label=_("For whom"), max_length=80, widget=forms.TextInput({"autocomplete": "name"}),
                            help_text=_("You, or somebody else. Everybody can read it in the register."))  # fmt: skip
    purpose = forms.CharField(
        label=_("What for"),
        max_length=200,
        help_text=_("For instance: our flight to Guiyang in May. Everybody can read it in the register."),
    )


class HandOnForm(SureForm):
    """Who gets a certificate."""

    trees = trees_field()
    contact = ContactField(
        label=_("Mobile number or e-mail of the new owner"), help_text=_("A message with the link goes there.")
    )
    holder = NameField(
        label=_("Name on the new certificate"),
        max_length=80,
        required=False,
        help_text=_("Leave empty to stay anonymous."),
    )


class SignUpForm(forms.Form):
    """A name and a password for a contact that was verified by a link."""

    name = NameField(label=_("Name"), max_length=80, widget=forms.TextInput({"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        max_length=200,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=_("At least 10 characters."),
    )

    def clean_password(self) -> str:
        """Refuses what is easily guessed."""
        validate_password(self.cleaned_data["password"])
        return str(self.cleaned_data["password"])


class SentOnceForm(forms.Form):
    """A form that may be sent twice, and acts once."""

    form_token = forms.UUIDField(required=False, widget=forms.HiddenInput, initial=uuid.uuid4)


def _giver() -> NameField:
    return NameField(
        label=_("From"), max_length=80, required=False, help_text=_("Your name, as the recipient shall see it.")
    )


def _opens_on() -> forms.DateField:
    return forms.DateField(
        label=_("Opens on"),
        required=False,
        widget=forms.DateInput({"type": "date"}),
        help_text=_("Empty: at once."),
    )


class GiftForm(SentOnceForm):
    """One gift."""

    giver = _giver()
    recipient = NameField(label=_("For"), max_length=80, required=False)
    message = forms.CharField(
        label=_("Message"), max_length=200, required=False, widget=forms.Textarea({"rows": 3, "maxlength": 200})
    )
    trees = trees_field(initial=1)
    opens_on = _opens_on()
    contact = ContactField(
        label=_("Mobile number or e-mail of the recipient"),
        required=False,
        help_text=_("Only if we shall send the gift. Otherwise you pass on the link or the card yourself."),
    )

    def clean_opens_on(self) -> Any:
        return check_day(self.cleaned_data["opens_on"])


def check_day(day: Any) -> Any:
    """A day within the next two years, or none."""
    if day is not None and not timezone.localdate() <= day <= timezone.localdate() + timedelta(days=731):
        raise forms.ValidationError(_("Choose a day within the next two years."))
    return day


class CodesForm(SentOnceForm):
    """So many codes of so many trees each, for whoever gets a card."""

    giver = _giver()
    codes = forms.IntegerField(label=_("How many codes"), min_value=1, max_value=5000)
    trees = trees_field(initial=1, label=_("Trees of each"))
    message = forms.CharField(label=_("Message"), max_length=200, required=False)
    opens_on = _opens_on()

    def clean_opens_on(self) -> Any:
        return check_day(self.cleaned_data["opens_on"])


class GiftFileForm(SentOnceForm):
    """A list of gifts."""

    giver = _giver()
    file = forms.FileField(
        label=_("CSV or Excel file (.xlsx)"),
        help_text=_("Columns: recipient, trees, message, contact, date. Gifts with a contact are sent."),
        widget=forms.ClearableFileInput({"accept": ".csv,.xlsx"}),
    )


class CodeForm(forms.Form):
    """A code from a card."""

    code = forms.CharField(
        label=_("The code on your card"),
        max_length=40,
        widget=forms.TextInput({"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )


class TakeForm(forms.Form):
    """Who takes a gift."""

    holder = NameField(
        label=_("Name on the certificate"),
        max_length=80,
        required=False,
        widget=forms.TextInput({"autocomplete": "name"}),
        help_text=_("Leave empty to stay anonymous."),
    )
    contact = ContactField(
        required=False,
        help_text=_("So that you find your trees again. Without it, only the address of the certificate leads there."),
    )
