"""Pages about trees over the years: reports that a reviewer decides, inspections that are due, consent withdrawn."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER, REVIEWER
from carbonsink.accounts.views import role_required
from carbonsink.pages import form_page
from trees import growth
from trees.models import Household, Inspection, Tree

SHOWN = 200


class DecisionForm(forms.Form):
    """What a reviewer makes of a report. The buttons carry the verdict."""

    verdict = forms.ChoiceField(choices=[("confirm", ""), ("refute", "")], widget=forms.HiddenInput)
    remark = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Needed when you refute the report: what shows that the tree stands?"),
    )


class WithdrawalForm(forms.Form):
    """Who withdraws a consent says so to the officer, who writes down when and why."""

    on = forms.DateField(
        label=gettext_lazy("Said on"),
        initial=timezone.localdate,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )
    reason = forms.CharField(label=gettext_lazy("Why, in the household's own words"), max_length=180)
    sure = forms.BooleanField(label=gettext_lazy("The head of household knows that all of its trees leave the scheme."))


@role_required(REVIEWER)
@require_safe
def reports(request: HttpRequest) -> HttpResponse:
    """Trees of the reviewer's area that are reported as dead or felled, longest waiting first."""
    waiting = growth.open_reports(signed_in(request))
    return render(request, "trees/reports.html", {"reports": waiting[:SHOWN], "waiting": waiting.count()})


@role_required(REVIEWER)
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """One report with its photos beside the tree's; sending the form decides it."""
    reviewer = signed_in(request)
    found = get_object_or_404(
        Inspection.objects.filter(
            tree__in=Tree.objects.visible_to(reviewer), condition__in=["dead", "felled"]
        ).select_related("tree__species", "tree__household__village", "tree__picture", "inspected_by", "decided_by"),
        pk=pk,
    )

    def act(data: dict[str, Any]) -> HttpResponse:
        confirm = data["verdict"] == "confirm"
        growth.decide_inspection(found, reviewer=reviewer, confirm=confirm, remark=data["remark"])
        sentence = (
            _("The report about tree %(number)s is confirmed.")
            if confirm
            else _("The report about tree %(number)s is refuted.")
        )
        messages.success(request, sentence % {"number": found.tree.number})
        return redirect("trees:reports")

    context = {
        "report": found,
        "tree": found.tree,
        "photos": found.photos.filter(state="accepted"),
        "sights": growth.history(found.tree),
        "own": found.inspected_by_id == reviewer.pk,
        "changes": found.history(),
    }
    return form_page(request, DecisionForm(request.POST or None), "trees/reports_decide.html", act, **context)


@role_required(OFFICER)
@require_safe
def due(request: HttpRequest) -> HttpResponse:
    """The officer's trees that should be inspected, longest unseen first."""
    trees = growth.due_for_inspection(signed_in(request))
    return render(request, "trees/reports_due.html", {"trees": trees[:SHOWN], "due": trees.count()})


@role_required(OFFICER)
@require_safe
def due_list(request: HttpRequest) -> JsonResponse:
    """The same for the officer's device: at most 200 trees."""
    trees = growth.due_for_inspection(signed_in(request))[:SHOWN]
    rows = [
        {
            "number": tree.number,
            "species": tree.species.scientific_name,
            "dbh_cm": tree.dbh_cm,
            "household": tree.household.public_id,
            "seen_on": tree.seen_on,
        }
        for tree in trees
    ]
    return JsonResponse({"trees": rows})


@role_required(OFFICER)
def withdrawal(request: HttpRequest, public_id: str) -> HttpResponse:
    """Records that a household withdraws its consent."""
    household = get_object_or_404(
        Household.objects.visible_to(request.user).select_related("village"), public_id=public_id
    )

    def act(data: dict[str, Any]) -> HttpResponse:
        left = growth.record_withdrawal(household, by=signed_in(request), on=data["on"], reason=data["reason"])
        messages.success(request, _("The consent is withdrawn; %(left)s trees left the scheme.") % {"left": left})
        return redirect("trees:household", household.public_id)

    in_force = household.consents.filter(withdrawn_at__isnull=True).first()
    trees = household.trees.filter(state__in=[Tree.State.APPROVED, Tree.State.SUSPENDED]).count()
    form = WithdrawalForm(request.POST or None)
    context = {"household": household, "consent": in_force, "trees_in_scheme": trees}
    return form_page(request, form, "trees/reports_withdrawal.html", act, **context)
