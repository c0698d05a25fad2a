"""Finance's page of captures without an order: what becomes of each, by two people."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from purchases import strays
from purchases.models import Order, Stray
from purchases.views.finance import SHOWN


class ProposalForm(forms.Form):
    """Whose order a capture pays, or that it goes back."""

    order = forms.CharField(label=gettext_lazy("Order number"), max_length=40, required=False)
    reason = forms.CharField(label=gettext_lazy("How you know"), max_length=200)


@role_required(FINANCE)
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    """Captures that wait for a first or second person, and those on their way back."""
    return _page(request)


def _page(request: HttpRequest, trouble: str = "", status: int = 200) -> HttpResponse:
    context = {
        "trouble": trouble,
        "to_answer": strays.to_answer()[:SHOWN],
        "to_send": strays.to_send()[:SHOWN],
        "answered": Stray.objects.filter(state__in=["matched", "sent_back"]).order_by("-pk")[:10],
        "states": Stray.State,
    }
    return render(request, "finance/strays.html", context, status=status)


@role_required(FINANCE)
@require_POST
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's word of what becomes of a capture."""
    stray, form = get_object_or_404(Stray, pk=pk), ProposalForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("no_reason", _("Write how you know."))
        order = None if "back" in request.POST else _order(form.cleaned_data["order"])
        strays.propose(stray, order=order, reason=form.cleaned_data["reason"], by=signed_in(request))
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, _("Noted. It is done once somebody else agrees."))
    return redirect("purchases:finance-strays")


def _order(typed: str) -> Order:
    number = "".join(typed.upper().replace("-", "").split())
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise DomainError("unknown_order", _("There is no order of this number."), status=404)
    return order


@role_required(FINANCE)
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Another person's word: agreed, or not. The form says what that person saw."""
    stray, by = get_object_or_404(Stray.objects.select_related("order"), pk=pk), signed_in(request)
    seen = request.POST.get("seen", "")
    try:
        if seen != f"{stray.proposed_by_id}:{stray.order_id}":
            raise DomainError("wrong_state", _("Somebody has answered this meanwhile. Reload the page."), status=409)
        said = _answer(stray, by, agrees="agree" in request.POST)
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, said)
    return redirect("purchases:finance-strays")


def _answer(stray: Stray, by: User, *, agrees: bool) -> str:
    if not agrees:
        strays.withdraw(stray, by=by)
        return _("It waits for an answer again.")
    strays.agree(stray, by=by)
    if stray.order is None:
        return _("It goes back.")
    return _("It is booked for order %(number)s.") % {"number": stray.order.number}


@role_required(FINANCE)
@require_POST
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """What the payment service refuses to send back is sent at the bank: taken over, noted, confirmed by another."""
    stray, by = get_object_or_404(Stray, pk=pk), signed_in(request)
    acts = {
        "take": lambda: strays.take_over(stray, by=by),
        "leave": lambda: strays.hand_back(stray, by=by),
        "confirm": lambda: strays.confirm(stray, by=by),
        "note": lambda: strays.note_sent(stray, bank_serial=request.POST.get("bank_serial", ""), by=by),
    }
    said = {
        "take": _("Send it at the bank, then note the bank's number here."),
        "leave": _("The payment service is asked for it again."),
        "confirm": _("Confirmed and booked."),
        "note": _("Noted. Somebody else confirms it."),
    }
    act = request.POST.get("act", "")
    if act not in acts:
        return _page(request, _("Reload the page."), 400)
    try:
        acts[act]()
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, said[act])
    return redirect("purchases:finance-strays")
