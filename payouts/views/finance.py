"""Finance's pages of the way out: runs, what waits for approval in them, and money that gets no payout."""

from collections import Counter
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from carbonsink.templatetags.money import yuan
from payouts import approvals, comparing, runs, sending, waiting
from payouts.forms import ReleaseForm, SeenForm, StartForm
from payouts.models import Payout, Run
from trees.models import Division, Household

SHOWN = 100


@role_required(FINANCE)
def runs_list(request: HttpRequest) -> HttpResponse:
    """The last runs; starts one by hand."""
    trouble, status = "", 200
    if request.method == "POST":
        form = StartForm(request.POST)
        if form.is_valid():
            return _start(request, Run.Kind(form.cleaned_data["kind"]))
        trouble, status = _("Tick the box if you are sure."), 400
    held = Q(paid__state=Payout.State.HELD)
    newest = Run.objects.select_related("started_by").order_by("-at", "-pk")
    counted = newest.annotate(held=Count("paid", filter=held), held_fen=Sum("paid__fen", filter=held))
    context = {
        "runs": counted.filter(pk__in=list(newest.values_list("pk", flat=True)[:50])),
        "stopped": runs.why_stopped(),
        "trouble": trouble,
        "now_form": StartForm(initial={"kind": Run.Kind.BY_HAND}, auto_id="now_%s"),
        "year_form": StartForm(initial={"kind": Run.Kind.YEAR_END}, auto_id="year_%s"),
    }
    return render(request, "finance/runs.html", context, status=status)


def _start(request: HttpRequest, kind: Run.Kind) -> HttpResponse:
    done = runs.run_payouts(kind=kind, by=signed_in(request))
    if done.pk is None:
        messages.warning(request, runs.why_stopped() or _("Nothing can be paid now. This is what waits, and why."))
        return redirect("payouts:finance-waiting")
    said = ngettext(
        "%(count)s payout, %(sum)s in all. Those that need no approval are sent now.",
        "%(count)s payouts, %(sum)s in all. Those that need no approval are sent now.",
        done.payouts,
    )
    messages.success(request, said % {"count": done.payouts, "sum": yuan(done.fen)})
    return redirect("payouts:finance-run", done.pk)


@role_required(FINANCE)
@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """A run: what it pays and to where, what is different from last time, and what waits for approval."""
    return _run_page(request, get_object_or_404(Run.objects.select_related("started_by"), pk=pk))


def _run_page(request: HttpRequest, found: Run, trouble: str = "", status: int = 200) -> HttpResponse:
    compared = comparing.compare(found)
    seen = {"count": compared.held.payouts, "fen": compared.held.fen}
    held = _listed(found).filter(state=Payout.State.HELD)
    codes = [one.of for county, villages in compared.counties for one in (county, *villages)]
    names = dict(Division.objects.filter(code__in=_divisions(codes)).values_list("code", "name"))
    remarkable = held.filter(pk__in=compared.remarkable).order_by("-fen", "pk")[:SHOWN]
    as_last_time = held.exclude(pk__in=compared.remarkable).order_by("-fen", "pk")[:SHOWN]
    mine = found.paid.filter(state=Payout.State.HELD, approvals__by=signed_in(request)).count()
    context = {
        "run": found,
        "trouble": trouble,
        "compared": compared,
        "states": [(Payout.State(one.of).label, one) for one in compared.states],
        "places": [
            (names.get(county.of.ljust(12, "0"), county.of), county, [(names.get(v.of, v.of), v) for v in villages])
            for county, villages in compared.counties
        ],
        "remarkable": remarkable,
        "held": as_last_time,
        "more": compared.held.payouts - len(remarkable) - len(as_last_time),
        "all_mine": mine == compared.held.payouts,
        "approvers": found.paid.filter(state=Payout.State.HELD, approvals__isnull=False)
        .values("approvals__by__name")
        .annotate(count=Count("pk")),
        "approve_form": SeenForm(initial=seen, auto_id="approve_%s"),
        "release_form": ReleaseForm(initial=seen, auto_id="release_%s"),
    }
    return render(request, "finance/run.html", context, status=status)


def _listed(found: Run) -> QuerySet[Payout]:
    return found.paid.select_related("household__village", "account").annotate(given=Count("approvals"))


def _divisions(codes: list[str]) -> list[str]:
    """Codes of villages as they are, of counties with their zeros."""
    return [code.ljust(12, "0") for code in codes]


@role_required(FINANCE)
@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approves all that waits in a run, as the person saw it."""
    found, form = get_object_or_404(Run, pk=pk), SeenForm(request.POST)
    if not form.is_valid():
        return _run_page(request, found, _("Look at the run again."), 400)
    try:
        gone = approvals.approve_run(found, by=signed_in(request), **form.cleaned_data)
    except DomainError as error:
        return _run_page(request, found, error.message, error.status)
    if gone:
        said = ngettext(
            "%(count)s payout is approved and goes now.", "%(count)s payouts are approved and go now.", gone
        )
        messages.success(request, said % {"count": gone})
    else:
        messages.success(request, _("Noted. They go once somebody else has approved them too."))
    return redirect("payouts:finance-run", pk)


@role_required(FINANCE)
@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancels all that waits in a run: it is owed again."""
    found, form = get_object_or_404(Run, pk=pk), ReleaseForm(request.POST)
    if not form.is_valid():
        return _run_page(request, found, _("Write down why."), 400)
    try:
        count = approvals.release_run(found, by=signed_in(request), **form.cleaned_data)
    except DomainError as error:
        return _run_page(request, found, error.message, error.status)
    said = ngettext("%(count)s payout is owed again.", "%(count)s payouts are owed again.", count)
    messages.success(request, said % {"count": count})
    return redirect("payouts:finance-run", pk)


@role_required(FINANCE)
@require_POST
def release_payout(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancels one payout that was not sent: it is owed again."""
    payout = get_object_or_404(Payout.objects.select_related("run"), pk=pk)
    reason = request.POST.get("reason", "").strip()
    try:
        if not reason:
            raise DomainError("no_reason", _("Write down why."))
        sending.cancel(payout, by=signed_in(request), reason=reason)
    except DomainError as error:
        return _run_page(request, payout.run, error.message, error.status)
    messages.success(request, _("The payout is cancelled, and its money owed again."))
    return redirect("payouts:finance-run", payout.run_id)


@role_required(FINANCE)
@require_safe
def waiting_money(request: HttpRequest) -> HttpResponse:
    """What is owed and gets no payout, by reason; of one reason, who waits longest."""
    rows = waiting.waiting()
    count, fen = Counter(row.reason for row in rows), Counter[str]()
    for row in rows:
        fen[row.reason] += row.fen
    chosen = request.GET.get("reason", "")
    shown = [row for row in rows if not chosen or row.reason == chosen]
    households = Household.objects.select_related("village").in_bulk({row.household_id for row in shown[:SHOWN]})
    context: dict[str, Any] = {
        "stopped": runs.why_stopped(),
        "sums": [(one, count[one], fen[one], one in waiting.PATIENCE) for one in waiting.Reason if count[one]],
        "households": len({row.household_id for row in rows}),
        "fen": sum(fen.values()),
        "chosen": chosen,
        "rows": [(row, households[row.household_id], waiting.Reason(row.reason)) for row in shown[:SHOWN]],
        "more": len(shown) - len(shown[:SHOWN]),
    }
    return render(request, "finance/waiting.html", context)
