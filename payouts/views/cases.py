"""What households say, for those who answer: finance for money, the county's reviewers for trees. Officers read it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE, OFFICER, REVIEWER
from carbonsink.accounts.views import role_required
from carbonsink.pages import form_page
from payouts import cases
from payouts.models import Case

SHOWN = 100


class AnswerForm(forms.Form):
    """What somebody found out."""

    answer = forms.CharField(
        label=gettext_lazy("Answer"),
        max_length=200,
        help_text=gettext_lazy("The household reads it on its page: plain words, no numbers of accounts."),
    )


def _list(request: HttpRequest, address: str) -> HttpResponse:
    found = cases.cases_for(signed_in(request)).select_related("household__village", "payout", "tree__species")
    answered = found.exclude(state=Case.State.OPEN).order_by("-answered_at", "-pk")
    waiting = found.filter(state=Case.State.OPEN).order_by("opened_at", "pk")
    context = {"open": waiting[:SHOWN], "answered": answered[:20], "address": address}
    return render(request, "payouts/cases.html", context)


def _one(request: HttpRequest, pk: int, address: str) -> HttpResponse:
    user = signed_in(request)
    related = ("household__village", "payout__account", "payout__run", "tree__species", "tree__registered_by")
    case = get_object_or_404(cases.cases_for(user).select_related(*related), pk=pk)

    def act(data: dict[str, Any]) -> HttpResponse:
        cases.answer_case(case, by=user, answer=data["answer"])
        messages.success(request, _("Answered. The household is told by SMS and reads it on its page."))
        return redirect(f"payouts:{address}s")

    payout = case.payout
    context: dict[str, Any] = {"case": case, "address": address, "mine": cases.may_answer(case, user)}
    if payout:
        context |= {"history": payout.history(), "rows": payout.statement_rows.order_by("booked_at")}
    return form_page(request, AnswerForm(request.POST or None), "payouts/case.html", act, **context)


@role_required(FINANCE)
def finance_cases(request: HttpRequest) -> HttpResponse:
    """What households say of their money."""
    return _list(request, "finance-case")


@role_required(FINANCE)
def finance_case(request: HttpRequest, pk: int) -> HttpResponse:
    """One case with the payout's whole way, and the answer."""
    return _one(request, pk, "finance-case")


@role_required(OFFICER, REVIEWER)
def area_cases(request: HttpRequest) -> HttpResponse:
    """What the households of an officer's or reviewer's area say."""
    return _list(request, "area-case")


@role_required(OFFICER, REVIEWER)
def area_case(request: HttpRequest, pk: int) -> HttpResponse:
    """One case of the area; a reviewer answers what was said of a tree."""
    return _one(request, pk, "area-case")
