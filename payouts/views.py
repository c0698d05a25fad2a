"""Pages of the way out: entering a household's account, and the page where a household sees its money."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from carbonsink import qr
from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER
from carbonsink.accounts.views import role_required
from carbonsink.ledger.models import Line
from carbonsink.ledger.services import unsettled
from carbonsink.pages import form_page
from payouts.accounts import enter_account
from payouts.forms import BankAccountForm
from payouts.models import BankAccount, Payout
from trees.models import Household


@role_required(OFFICER)
def new_account(request: HttpRequest, public_id: str) -> HttpResponse:
    """Enters a new version of a household's account."""
    household = get_object_or_404(Household.objects.visible_to(request.user), public_id=public_id)

    def act(data: dict[str, Any]) -> HttpResponse:
        enter_account(officer=signed_in(request), household=household, **data)
        messages.success(request, _("The account is stored. Somebody else approves it before money goes there."))
        return redirect("trees:household", public_id)

    return form_page(
        request,
        BankAccountForm(request.POST or None),
        "payouts/account_form.html",
        act,
        household=household,
        accounts=household.bank_accounts.order_by("-version"),
    )


@require_safe
def household(request: HttpRequest, public_id: str) -> HttpResponse:
    """A household's page, reached by the QR code on its paper: what was sold, what was paid, when, and where to."""
    found = get_object_or_404(Household.objects.select_related("village"), public_id=public_id)
    lines = Line.objects.filter(account__owner=found.pk)
    payouts = found.payouts.select_related("account").order_by("-created_at")
    arrived = payouts.filter(state=Payout.State.SUCCEEDED).aggregate(fen=Sum("fen", default=0))["fen"]
    waiting = -unsettled(lines).aggregate(fen=Sum("fen", default=0))["fen"]
    context = {
        "household": found,
        "trees": found.trees.select_related("species").order_by("ordinal"),
        "payouts": payouts[:24],
        "arrived_fen": arrived,
        "waiting_fen": waiting,
        "account": found.bank_accounts.filter(state=BankAccount.State.APPROVED).first(),
        "stocks": found.stocks.order_by("-vintage"),
    }
    return render(request, "payouts/household.html", context)


@role_required(OFFICER)
def household_qr(request: HttpRequest, public_id: str) -> HttpResponse:
    """The QR code for the household's paper."""
    found = get_object_or_404(Household.objects.visible_to(request.user), public_id=public_id)
    return qr.response(settings.PUBLIC_BASE_URL + reverse("payouts:household", args=[found.public_id]))
