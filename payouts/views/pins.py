"""What officers do for a household's own page: its QR code, its PIN, chosen before them or drawn, and a new address."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from carbonsink import qr
from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER
from carbonsink.accounts.views import role_required
from carbonsink.pages import form_page
from payouts import access, papers
from payouts.messages_to_households import page_of
from payouts.models import HouseholdPin
from trees.models import Household

_DIGITS = {"inputmode": "numeric", "autocomplete": "off"}


class NewPinForm(forms.Form):
    """The PIN that the household types, twice."""

    pin = forms.CharField(
        label=gettext_lazy("New PIN (6 digits)"), max_length=6, widget=forms.PasswordInput(attrs=_DIGITS)
    )
    again = forms.CharField(label=gettext_lazy("Once more"), max_length=6, widget=forms.PasswordInput(attrs=_DIGITS))

    def clean(self) -> dict[str, str]:
        data = dict(super().clean() or {})
        if "pin" in data and "again" in data and data["pin"] != data["again"]:
            self.add_error("again", _("These are two different PINs. Enter the same one twice."))
        return data


def _household(request: HttpRequest, public_id: str) -> Household:
    return get_object_or_404(Household.objects.visible_to(request.user).select_related("village"), public_id=public_id)


@role_required(OFFICER)
@never_cache
def pin(request: HttpRequest, public_id: str) -> HttpResponse:
    """Sets the PIN that the household chooses; says whether there is one, and whether it is locked."""
    found = _household(request, public_id)

    def act(data: dict[str, str]) -> HttpResponse:
        access.set_pin(found, data["pin"], by=signed_in(request), reason="chosen in front of the officer")
        messages.success(request, _("The new PIN is set."))
        return redirect("payouts:pin", public_id)

    row = HouseholdPin.objects.filter(household=found).exclude(hashed="").first()
    context = {"household": found, "pin": row, "locked_until": access.locked_until(found)}
    return form_page(request, NewPinForm(request.POST or None), "payouts/pin_form.html", act, **context)


@role_required(OFFICER)
@require_POST
@never_cache
def draw_pin(request: HttpRequest, public_id: str) -> HttpResponse:
    """Draws a PIN and prints it on a slip to be folded and sealed. It is shown this once."""
    found = _household(request, public_id)
    drawn = access.draw_pin(found, by=signed_in(request), reason="drawn for a sealed slip")
    # Not inline: browsers that show PDFs ask for them a second time, and this one is made once.
    headers = {"Content-Disposition": f'attachment; filename="slip-{found}.pdf"'}
    return HttpResponse(papers.slip_pdf(found, drawn), content_type="application/pdf", headers=headers)


@role_required(OFFICER)
@require_POST
def lift_lock(request: HttpRequest, public_id: str) -> HttpResponse:
    """Lets a locked household try again."""
    access.lift_lock(_household(request, public_id), by=signed_in(request))
    messages.success(request, _("The household can enter its PIN again."))
    return redirect("payouts:pin", public_id)


@role_required(OFFICER)
@require_safe
@never_cache
def household_qr(request: HttpRequest, public_id: str) -> HttpResponse:
    """The QR code for the household's paper."""
    return qr.response(page_of(_household(request, public_id)))


@role_required(OFFICER)
@require_POST
def renew_page(request: HttpRequest, public_id: str) -> HttpResponse:
    """Gives the household's page a new address, since a stranger may have the paper with the former one."""
    access.renew_page(_household(request, public_id), by=signed_in(request))
    messages.success(
        request, _("The page has a new address. Print the household's papers anew: the former codes are dead.")
    )
    return redirect("payouts:pin", public_id)
