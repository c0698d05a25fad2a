"""The buyer's forms. They check form; the services check everything that matters."""

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from carbonsink.errors import DomainError
from purchases import orders, organisations, ways
from purchases.models import Buyer, Order


def _text(label: Any, length: int, *, hint: Any = "", required: bool = False, **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs)
    return forms.CharField(label=label, max_length=length, required=required, help_text=hint, widget=widget)


class TreesField(forms.IntegerField):
    """How many trees."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            min_value=1,
            max_value=10**9,
            widget=forms.NumberInput({"inputmode": "numeric"}),
            error_messages={
                "invalid": _("Enter a whole number of trees, such as 10."),
                "required": _("Enter how many trees, such as 10."),
                "min_value": _("Choose at least one tree."),
            },
            **{"label": _("How many trees"), **options},
        )


class OrderForm(forms.Form):
    """What is ordered and by whom. Without scripts an organisation's fields are simply there; they count together."""

    form_token = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    quantity = TreesField(initial=1)
    kind = forms.ChoiceField(
        label=_("Who buys"),
        required=False,
        initial=Buyer.Kind.INDIVIDUAL,
        choices=[
            (Buyer.Kind.INDIVIDUAL, _("a person")),
            (Buyer.Kind.ENTERPRISE, _("an enterprise")),
            (Buyer.Kind.INSTITUTION, _("a public institution")),
            (Buyer.Kind.SOCIAL_GROUP, _("a social group")),
        ],
    )
    organisation_name = _text(
        _("Name of the organisation"), 80, hint=_("As the public register has it."), autocomplete="organization"
    )
    code = _text(
        _("Unified social credit code"),
        40,  # With the spaces people copy along; a code has 18 characters.
        hint=_("18 digits and capital letters, as on the licence."),
        autocomplete="off",
        autocapitalize="characters",
        spellcheck="false",
    )
    contact_person = _text(_("Contact person"), 80, hint=_("Whom we ask about this order."), autocomplete="name")
    contact = forms.CharField(
        label=_("Mobile number or e-mail"),
        max_length=254,
        widget=forms.TextInput({"autocomplete": "email", "inputmode": "email"}),
        help_text=_("Only for your receipt."),
        error_messages={"required": _("Enter a mobile number or an e-mail address for the receipt.")},
    )
    holder = _text(_("Name on the certificate"), 80, hint=_("Leave empty to stay anonymous."), autocomplete="name")
    dedication = _text(_("Dedication"), 120, hint=_("A line on the certificate, such as “For our class of 2026”."))
    is_gift = forms.BooleanField(
        label=_("This is a gift"), required=False, help_text=_("After paying you choose who gets it, and when.")
    )
    pays_by = forms.ChoiceField(
        label=_("Way of paying"),
        required=False,
        initial=Order.PaysBy.ONLINE,
        choices=[
            (Order.PaysBy.ONLINE, _("Online, at once")),
            (Order.PaysBy.TRANSFER, _("Bank transfer, for organisations we have checked")),
        ],
    )

    # The organisation was noted, and must be checked before it may pay by transfer.
    not_checked = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not ways.transfer_is_offered():
            del self.fields["pays_by"]

    @property
    def of_organisation(self) -> bool:
        """Whether an organisation was chosen, or something of one was typed."""
        return any(self[name].value() for name in ("organisation_name", "code", "contact_person")) or self[
            "kind"
        ].value() not in ("", None, Buyer.Kind.INDIVIDUAL)

    @property
    def has_extras(self) -> bool:
        """Whether something was said about a dedication or a gift."""
        return bool(self["dedication"].value() or self["is_gift"].value())

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or Buyer.Kind.INDIVIDUAL

    def clean_pays_by(self) -> str:
        return self.cleaned_data["pays_by"] or Order.PaysBy.ONLINE

    def clean_contact(self) -> str:
        return self._checked(orders.check_contact, "contact")

    def clean_holder(self) -> str:
        return self._checked(orders.check_holder, "holder")

    def clean_code(self) -> str:
        return self._checked(organisations.check_code, "code") if self.cleaned_data["code"] else ""

    def _checked(self, check: Any, name: str) -> str:
        try:
            return str(check(self.cleaned_data[name]))
        except DomainError as error:
            raise forms.ValidationError(error.message) from error

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("kind") == Buyer.Kind.INDIVIDUAL:
            if data.get("organisation_name") or data.get("code"):
                self.add_error("kind", _now("Choose what kind of organisation it is, or empty its name and code."))
            if data.get("pays_by") == Order.PaysBy.TRANSFER:
                self.add_error("pays_by", _now("Only organisations pay by bank transfer. Choose to pay online."))
        else:
            wanted = {
                "organisation_name": _now("Enter the organisation's name as the public register has it."),
                "code": _now("Enter the unified social credit code: 18 characters."),
                "contact_person": _now("Enter the name of somebody we can ask about this order."),
            }
            for name, sentence in wanted.items():
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, sentence)
        wrong = next((name for name in self.fields if name in self.errors), None)
        if wrong is not None:
            self.fields[wrong].widget.attrs["autofocus"] = True
        return data


class GiveBackForm(forms.Form):
    """How many trees are given back."""

    trees = TreesField(label=_("How many trees go back"))
    sure = forms.BooleanField(
        label=_("I know that these trees and their place on the certificate are not mine any more then."),
        error_messages={"required": _("Tick that you know this.")},
    )
