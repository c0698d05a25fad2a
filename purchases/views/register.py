"""The public register of certificates."""

from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from carbonsink import limits
from carbonsink.errors import DomainError
from carbonsink.pages import client_address
from purchases import register as registered
from purchases.models import Certificate

SEARCHES, SECONDS = 60, 60


class RegisterForm(forms.Form):
    """What to look for; empty means whatever."""

    serial = forms.CharField(
        label=_("Serial number"),
        max_length=20,
        required=False,
        widget=forms.TextInput({"placeholder": "DZTH-2026-0000001"}),
    )
    holder = forms.CharField(
        label=_("Name on the certificate"),
        max_length=80,
        required=False,
        help_text=_("The whole name, exactly as it stands there."),
    )
    vintage = forms.TypedChoiceField(label=_("Year"), required=False, coerce=int, empty_value=None)
    state = forms.ChoiceField(label=_("State"), required=False)
    after = forms.CharField(max_length=20, required=False, widget=forms.HiddenInput)

    def __init__(self, data: object, vintages: list[int]) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        anything = ("", _("all"))
        self.fields["vintage"].choices = [anything, *((str(year), str(year)) for year in vintages)]  # type: ignore[attr-defined]
        self.fields["state"].choices = [anything, *Certificate.State.choices]  # type: ignore[attr-defined]


@require_safe
def register(request: HttpRequest) -> HttpResponse:
    """Search of the register, and its totals."""
    totals = registered.totals()
    form = RegisterForm(request.GET or None, [row.vintage for row in totals])
    page, status = None, 200
    if form.is_bound:
        status = 400
        limits.allow("register", client_address(request), SEARCHES, SECONDS)
        if form.is_valid():
            try:
                page, status = registered.search(**form.cleaned_data), 200
            except DomainError as error:
                form.add_error("holder", error.message)
    context = {"form": form, "page": page, "totals": totals, "next": _next(form, page)}
    return render(request, "purchases/register.html", context, status=status)


def _next(form: RegisterForm, page: registered.Page | None) -> str:
    """The query of the next page, if there is one."""
    if page is None or not page.after:
        return ""
    kept = {name: value for name, value in form.cleaned_data.items() if value}
    return urlencode(kept | {"after": page.after})
