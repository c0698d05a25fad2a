"""Finance's page of rows that nobody has explained: a payout's debit or return, by two people, or the sponsor's."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from payouts import clarifications
from payouts.forms import PayoutForm, ReasonForm
from payouts.models import Clarification, Payout, StatementRow

SHOWN = 20


@role_required(FINANCE)
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """What waits for a first or a second person."""
    return _page(request)


def _page(request: HttpRequest, trouble: str = "", status: int = 200) -> HttpResponse:
    said = list(clarifications.to_agree())
    spoken_of = {one.row_id for one in said}
    payouts = {one.payout_id for one in said}
    open_rows = [row for row in clarifications.in_suspense() if row.pk not in spoken_of]
    agreed = Clarification.objects.filter(state=Clarification.State.AGREED).order_by("-pk")
    context = {
        "trouble": trouble,
        "said": said,
        "rows": [(row, clarifications.suggestions(row)) for row in open_rows[:SHOWN]],
        "more": max(0, len(open_rows) - SHOWN),
        "overdue": [one for one in clarifications.overdue()[: 2 * SHOWN] if one.pk not in payouts][:SHOWN],
        "agreed": agreed.select_related("payout", "row", "proposed_by", "agreed_by", "follow_up")[:10],
        "kinds": Clarification.Kind,
    }
    return render(request, "finance/rows.html", context, status=status)


@role_required(FINANCE)
@require_POST
def say_payout(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's word that a row is a payout's debit or return."""
    row, form = get_object_or_404(StatementRow, pk=pk), PayoutForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("no_reason", _("Write how you know."))
        typed = form.cleaned_data["out_no"] or form.cleaned_data["suggested"]
        payout = _payout("".join(typed.lower().replace("-", "").split()))
        clarifications.propose(payout, row, why=form.cleaned_data["reason"], by=signed_in(request))
    except DomainError as error:
        return _page(request, error.message, error.status)
    return _noted(request)


def _payout(number: str) -> Payout:
    if not number:
        raise DomainError("no_payout", _("Choose a payout, or type its number."))
    payout = Payout.objects.filter(out_no=number).first()
    if payout is None:
        raise DomainError("unknown_payout", _("There is no payout of this number."), status=404)
    return payout


def _noted(request: HttpRequest) -> HttpResponse:
    messages.success(request, _("Noted. It is booked once somebody else agrees."))
    return redirect("payouts:finance-rows")


@role_required(FINANCE)
@require_POST
def say_sponsor(request: HttpRequest, pk: int) -> HttpResponse:
    """Books a row as the sponsor's, or as the customer's transfer that finance has taken in; where a payout fits it,
    it is one person's word."""
    row, form = get_object_or_404(StatementRow, pk=pk), ReasonForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("no_reason", _("Write how you know."))
        said = clarifications.explain(row, by=signed_in(request), reason=form.cleaned_data["reason"])
    except DomainError as error:
        return _page(request, error.message, error.status)
    if said is not None:
        return _noted(request)
    messages.success(request, _("Booked."))
    return redirect("payouts:finance-rows")


@role_required(FINANCE)
@require_POST
def say_never_left(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's word that a payout's money never left the account, whatever the bank had said."""
    payout, form = get_object_or_404(Payout, pk=pk), ReasonForm(request.POST)
    try:
        if not form.is_valid():
            raise DomainError("no_reason", _("Write how you know."))
        clarifications.propose(payout, None, why=form.cleaned_data["reason"], by=signed_in(request))
    except DomainError as error:
        return _page(request, error.message, error.status)
    return _noted(request)


@role_required(FINANCE)
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Another person's word: agreed, or not."""
    said = get_object_or_404(Clarification, pk=pk)
    try:
        if "agree" not in request.POST:
            clarifications.withdraw(said, by=signed_in(request))
            messages.success(request, _("It waits for an answer again."))
            return redirect("payouts:finance-rows")
        clarifications.agree(said, by=signed_in(request))
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, _("Booked."))
    return redirect("payouts:finance-rows")
