"""Finance's page of rows that nobody has explained: a payout's debit or return, or a whole file's, by two people; or
the sponsor's."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from payouts import clarifications, fitting, whole_files
from payouts.forms import PayoutForm, ReasonForm
from payouts.models import Batch, Clarification, Payout, StatementRow

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
    open_rows = [row for row in fitting.in_suspense() if row.pk not in spoken_of]
    agreed = Clarification.objects.filter(state=Clarification.State.AGREED).order_by("-pk").defer("batch__content")
    context = {
        "trouble": trouble,
        "said": said,
        "kept_back": [one for one in fitting.kept_back()[: 2 * SHOWN] if one.pk not in payouts][:SHOWN],
        "rows": [(row, fitting.suggestions(row), whole_files.suggestions(row)) for row in open_rows[:SHOWN]],
        "more": max(0, len(open_rows) - SHOWN),
        "overdue": [one for one in fitting.overdue()[: 2 * SHOWN] if one.pk not in payouts][:SHOWN],
        "agreed": agreed.select_related("payout", "batch", "row", "proposed_by", "agreed_by", "follow_up")[:10],
        "kinds": Clarification.Kind,
    }
    return render(request, "finance/rows.html", context, status=status)


@role_required(FINANCE)
@require_POST
def say_payout(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's word that a row is a payout's debit or return, or a whole file's."""
    row, by = get_object_or_404(StatementRow, pk=pk), signed_in(request)

    def say(said: dict[str, Any]) -> Clarification:
        whose = _whose(said["out_no"] or said["suggested"])
        propose: Callable[..., Clarification] = clarifications.propose
        if isinstance(whose, Batch):
            propose = clarifications.propose_file
        return propose(whose, row, why=said["reason"], by=by)

    return _said(request, PayoutForm(request.POST), say)


def _whose(typed: str) -> Payout | Batch:
    """The payout or the file of a number, or the file of this name."""
    number = "".join(typed.lower().replace("-", "").split())
    if not number:
        raise DomainError("no_payout", _("Choose a payout or a file, or type its number."))
    payout = Payout.objects.filter(out_no=number).first()
    if payout is not None:
        return payout
    batch = Batch.objects.filter(Q(number=number) | Q(name=typed.strip())).defer("content").first()
    if batch is None:
        raise DomainError("unknown_payout", _("There is no payout and no file of this number."), status=404)
    return batch


@role_required(FINANCE)
@require_POST
def say_sponsor(request: HttpRequest, pk: int) -> HttpResponse:
    """Books a row as the sponsor's, or as the customer's transfer that finance has taken in; where a payout fits it,
    it is one person's word."""
    row, by = get_object_or_404(StatementRow, pk=pk), signed_in(request)
    explain = clarifications.explain
    return _said(request, ReasonForm(request.POST), lambda said: explain(row, by=by, reason=said["reason"]))


@role_required(FINANCE)
@require_POST
def say_without_row(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's word on a payout that has no row, whatever the bank had said: that its money never left the account,
    or that it arrived with its whole file."""
    payout, by = get_object_or_404(Payout, pk=pk), signed_in(request)
    propose = clarifications.propose
    return _said(request, ReasonForm(request.POST), lambda said: propose(payout, None, why=said["reason"], by=by))


def _said(
    request: HttpRequest, form: ReasonForm, say: Callable[[dict[str, Any]], Clarification | None]
) -> HttpResponse:
    """Does what a person says; the page again with a sentence where that cannot be."""
    try:
        if not form.is_valid():
            raise DomainError("no_reason", _("Write how you know."))
        said = say(form.cleaned_data)
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, _("Booked.") if said is None else _("Noted. It is booked once somebody else agrees."))
    return redirect("payouts:finance-rows")


@role_required(FINANCE)
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Another person's word: agreed, or not."""
    said, agrees = get_object_or_404(Clarification, pk=pk), "agree" in request.POST
    try:
        (clarifications.agree if agrees else clarifications.withdraw)(said, by=signed_in(request))
    except DomainError as error:
        return _page(request, error.message, error.status)
    messages.success(request, _("Booked.") if agrees else _("It waits for an answer again."))
    return redirect("payouts:finance-rows")
