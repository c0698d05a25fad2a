"""Finance's own pages: bank transfers, money to be sent back by hand, and what the gateways' bills say otherwise."""

import re

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from purchases import bills, strays
from purchases.models import BankFile, ByHand, Difference, Order, Refund, Transfer
from purchases.transfers import answering, sent_by_hand
from purchases.transfers.importing import Outcome, import_bank_file
from purchases.transfers.suggesting import suggest

SHOWN = 100


class StatementForm(forms.Form):
    """A statement of the account for transfers."""

    file = forms.FileField(
        label=gettext_lazy("Statement of the account"),
        help_text=gettext_lazy("camt.053, CSV or XLSX, as the bank gives it. Sending a period again does no harm."),
    )


class AnswerForm(forms.Form):
    """Whose order waiting transfers pay, and how one knows."""

    order = forms.CharField(label=gettext_lazy("Order number"), max_length=40)
    with_others = forms.CharField(required=False, widget=forms.HiddenInput)
    reason = forms.CharField(label=gettext_lazy("How you know"), max_length=200)


class ReasonForm(forms.Form):
    """Why a transfer goes back."""

    reason = forms.CharField(label=gettext_lazy("Why"), max_length=200)


@role_required(FINANCE)
def transfers(request: HttpRequest) -> HttpResponse:
    """Waiting transfers, and the form that takes in a statement."""
    form, problems, status = StatementForm(request.POST or None, request.FILES or None), [], 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            file = form.cleaned_data["file"]
            try:
                outcome = import_bank_file(file.name, file.read(), signed_in(request))
            except DomainError as error:
                form.add_error(None, error.message)
                problems, status = error.details.get("problems", []), error.status
            else:
                messages.success(request, _told(outcome))
                return redirect("purchases:finance-transfers")
    waiting = Transfer.objects.filter(state=Transfer.State.WAITING).order_by("booked_on", "pk")
    context = {
        "form": form,
        "problems": problems,
        "waiting": waiting[:SHOWN],
        "waiting_count": waiting.count(),
        "files": BankFile.objects.select_related("sent_by").order_by("-pk")[:5],
    }
    return render(request, "finance/transfers.html", context, status=status)


def _told(outcome: Outcome) -> str:
    if not outcome.new and not outcome.confirmed:
        return _("Nothing new is in this file.")
    came = ngettext("%(new)s new transfer", "%(new)s new transfers", outcome.new) % {"new": outcome.new}
    parts = [came, _("%(matched)s of them paid their order") % {"matched": outcome.matched}]
    if outcome.debits:
        parts.append(_("%(debits)s payments out were passed over") % {"debits": outcome.debits - outcome.confirmed})
    if outcome.confirmed:
        parts.append(_("%(confirmed)s that you sent back are confirmed") % {"confirmed": outcome.confirmed})
    return ", ".join(parts) + "."


def what_waits() -> dict[str, int]:
    """How much waits on each of the pages; their navigation asks for it."""
    return {
        "transfers_waiting": Transfer.objects.filter(state=Transfer.State.WAITING).count(),
        "returns_waiting": sum(
            len(found()) for found in (sent_by_hand.to_send, sent_by_hand.refused, sent_by_hand.to_confirm)
        ),
        "strays_waiting": strays.to_answer().count() + strays.to_send().count(),
        "differences_open": Difference.objects.filter(state=Difference.State.OPEN).count(),
    }


@role_required(FINANCE)
@require_safe
def transfer(request: HttpRequest, pk: int) -> HttpResponse:
    """One transfer: what it may be for, and the answers."""
    return _transfer_page(request, get_object_or_404(Transfer, pk=pk))


def _transfer_page(request: HttpRequest, found: Transfer, trouble: str = "", status: int = 200) -> HttpResponse:
    context = {
        "transfer": found,
        "trouble": trouble,
        "suggestions": suggest(found) if found.state == Transfer.State.WAITING else [],
        "history": found.history().select_related("by"),
        "form": AnswerForm(),
        "back_form": ReasonForm(prefix="back"),
    }
    return render(request, "finance/transfer.html", context, status=status)


@role_required(FINANCE)
@require_POST
def answer_transfer(request: HttpRequest, pk: int) -> HttpResponse:
    """It belongs to an order, perhaps with others."""
    found, form = get_object_or_404(Transfer, pk=pk), AnswerForm(request.POST)
    if not form.is_valid():
        return _transfer_page(request, found, _("Enter the order's number and how you know."), 400)
    number = "".join(form.cleaned_data["order"].upper().replace("-", "").split())
    order = Order.objects.filter(number=number).first()
    others = [int(one) for one in form.cleaned_data["with_others"].split() if re.fullmatch("[0-9]{1,18}", one)]
    together = [found, *Transfer.objects.filter(pk__in=others[:20]).exclude(pk=pk)]
    try:
        if order is None:
            raise DomainError("unknown_order", _("There is no order of this number."), status=404)
        answering.belongs_to(together, order, by=signed_in(request), reason=form.cleaned_data["reason"])
    except DomainError as error:
        return _transfer_page(request, found, error.message, error.status)
    messages.success(request, _("Order %(number)s is paid.") % {"number": order.number})
    return redirect("purchases:finance-transfers")


@role_required(FINANCE)
@require_POST
def return_transfer(request: HttpRequest, pk: int) -> HttpResponse:
    """It goes back as it came."""
    found, form = get_object_or_404(Transfer, pk=pk), ReasonForm(request.POST, prefix="back")
    if not form.is_valid():
        return _transfer_page(request, found, _("Write why it goes back."), 400)
    try:
        answering.send_back(found, by=signed_in(request), reason=form.cleaned_data["reason"])
    except DomainError as error:
        return _transfer_page(request, found, error.message, error.status)
    messages.success(request, _("It waits under “To send back”: send it at the bank and note the bank's number."))
    return redirect("purchases:finance-returns")


@role_required(FINANCE)
@require_safe
def returns(request: HttpRequest) -> HttpResponse:
    """What must be sent at the bank by hand, and what somebody else has sent and is to be confirmed."""
    owed = [
        {
            "owed": one,
            "number": sent_by_hand.number_of(one),
            "kind": "refund" if isinstance(one, Refund) else "transfer",
        }
        for one in sent_by_hand.to_send()[:SHOWN]
    ]
    context = {"to_send": owed, "refused": sent_by_hand.refused()[:SHOWN], "to_confirm": sent_by_hand.to_confirm()}
    return render(request, "finance/returns.html", context)


@role_required(FINANCE)
@require_POST
def take_over_refund(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a refused refund from the payment service, to send it at the bank; or leaves it to the service again."""
    refund = get_object_or_404(Refund, pk=pk)
    if "leave" in request.POST:
        sent_by_hand.hand_back(refund, by=signed_in(request))
        messages.success(request, _("The payment service is asked for it again."))
    else:
        sent_by_hand.take_over(refund, by=signed_in(request))
        messages.success(request, _("It waits under “To send back”: send it at the bank and note the bank's number."))
    return redirect("purchases:finance-returns")


@role_required(FINANCE)
@require_POST
def note_return(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Notes the bank's number of what was sent."""
    owed: Refund | Transfer = (
        get_object_or_404(Refund, pk=pk) if kind == "refund" else get_object_or_404(Transfer, pk=pk)
    )
    sent_by_hand.note_sent(owed, bank_serial=request.POST.get("bank_serial", ""), by=signed_in(request))
    messages.success(request, _("Noted. Somebody else confirms it, or the bank's statement does."))
    return redirect("purchases:finance-returns")


@role_required(FINANCE)
@require_POST
def confirm_return(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirms what another person has sent, or takes the note back."""
    noted = get_object_or_404(ByHand.objects.select_related("refund__payment", "transfer"), pk=pk)
    if "withdraw" in request.POST:
        sent_by_hand.withdraw(noted, by=signed_in(request))
        messages.success(request, _("It waits to be sent again."))
    else:
        sent_by_hand.confirm(noted, by=signed_in(request))
        messages.success(request, _("Confirmed and booked."))
    return redirect("purchases:finance-returns")


@role_required(FINANCE)
@require_safe
def differences(request: HttpRequest) -> HttpResponse:
    """Lines in which a gateway's bill and our books differ, oldest first, and the last answers."""
    rows = Difference.objects.select_related("bill", "answered_by")
    context = {
        "open": rows.filter(state=Difference.State.OPEN).order_by("bill__day", "pk")[:SHOWN],
        "answered": rows.filter(state=Difference.State.ANSWERED).order_by("-pk")[:10],
        "compared": bills.last_compared(),
    }
    return render(request, "finance/differences.html", context)


@role_required(FINANCE)
@require_POST
def answer_difference(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes a difference with what a person found out."""
    bills.answer(get_object_or_404(Difference, pk=pk), text=request.POST.get("answer", ""), by=signed_in(request))
    messages.success(request, _("Answered."))
    return redirect("purchases:finance-differences")
