"""Finance's pages of the daily comparison: the days, and one day with its sums and what differs."""

from datetime import date

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from payouts import reconciliation
from payouts.models import Discrepancy, Reconciliation
from payouts.reconciliation.words import SIDES, TO_DO, titles

DAYS_SHOWN = 31


@role_required(FINANCE)
@require_safe
def days(request: HttpRequest) -> HttpResponse:
    """The days, newest first, and how each stands."""
    pages = Paginator(Reconciliation.objects.order_by("-day"), DAYS_SHOWN)
    return render(request, "finance/reconciliation.html", {"days": pages.get_page(request.GET.get("page"))})


@role_required(FINANCE)
@require_safe
def day(request: HttpRequest, day: str) -> HttpResponse:
    """One day: the sums side by side, what differs, and the last answers."""
    try:
        found = get_object_or_404(Reconciliation, day=date.fromisoformat(day))
    except ValueError as error:
        raise Http404 from error
    rows = found.discrepancies.select_related("explained_by").order_by("-unexplained", "pk")
    context = {
        "day": found,
        "sides": [title for _side, title in SIDES],
        "sums": [(title, *_row(found.sums[name])) for name, title in titles() if name in found.sums],
        "open": [(one, TO_DO[Discrepancy.Kind(one.kind)]) for one in rows.filter(state=Discrepancy.State.OPEN)],
        "ended": rows.exclude(state=Discrepancy.State.OPEN),
        "bills": reconciliation.open_differences(found.day),
    }
    return render(request, "finance/reconciliation_day.html", context)


def _row(sides: dict[str, int | None]) -> tuple[list[int | None], bool]:
    """The amounts side by side, and whether those that are there agree."""
    amounts = [sides.get(side) for side, _title in SIDES]
    return amounts, len({fen for fen in amounts if fen is not None}) < 2


@role_required(FINANCE)
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends a difference with what a person found out."""
    found = get_object_or_404(Discrepancy.objects.select_related("reconciliation"), pk=pk)
    ended = reconciliation.answer(found, text=request.POST.get("answer", ""), by=signed_in(request))
    messages.success(request, _("Answered.") if ended else _("Noted. It is booked once somebody else agrees."))
    return redirect("payouts:reconciliation-day", found.reconciliation.day)
