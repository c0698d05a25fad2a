"""The page where a household sees its money, and the QR code that leads there."""

from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from carbonsink import qr
from carbonsink.accounts.roles import OFFICER
from carbonsink.accounts.views import role_required
from carbonsink.ledger.models import Line
from carbonsink.ledger.services import unsettled
from payouts.models import BankAccount, Payout
from trees.models import Household


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
