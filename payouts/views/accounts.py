"""Pages of households' bank accounts: the officer's, and finance's."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import FINANCE, OFFICER
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from carbonsink.pages import form_page
from payouts import accounts as services
from payouts import needed_accounts
from payouts.forms import BankAccountForm
from payouts.models import BankAccount
from trees.models import Household

SHOWN = 100
Decision = Callable[[BankAccount, User, str], object]
# What finance decides about an account, by the name of the button.
DECISIONS: dict[str, Decision] = {
    "approve": lambda account, by, reason: services.approve_account(account, by=by),
    "reject": lambda account, by, reason: services.reject_account(account, by=by, reason=reason),
    "stop": lambda account, by, reason: services.stop_change(account, by=by, reason=reason),
    "put_back": lambda account, by, reason: services.put_back_account(account, by=by, reason=reason),
}


@role_required(OFFICER)
def new_account(request: HttpRequest, public_id: str) -> HttpResponse:
    """Enters a new version of a household's account."""
    household = get_object_or_404(Household.objects.visible_to(request.user), public_id=public_id)

    def act(data: dict[str, Any]) -> HttpResponse:
        services.enter_account(officer=signed_in(request), household=household, **data)
        messages.success(request, _("The account is stored. Somebody else approves it before money goes there."))
        return redirect("trees:household", public_id)

    return form_page(
        request,
        BankAccountForm(request.POST or None),
        "payouts/account_form.html",
        act,
        household=household,
        accounts=household.bank_accounts.order_by("-version"),
        now=timezone.now(),
    )


@role_required(OFFICER)
@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """The officer's households that need an account, and the accounts that are not in use yet."""
    mine = Household.objects.visible_to(request.user)
    needing = needed_accounts.needing_account(mine).select_related("village")
    context = {
        "needing": needing[:SHOWN],
        "needing_count": needing.count(),
        "waiting": needed_accounts.to_approve().filter(household__in=mine)[:SHOWN],
        "cooling": needed_accounts.cooling().filter(household__in=mine)[:SHOWN],
    }
    return render(request, "payouts/accounts.html", context)


@role_required(OFFICER)
@require_POST
def stop_account(request: HttpRequest, pk: int) -> HttpResponse:
    """The household says that it did not change its account."""
    mine = BankAccount.objects.filter(household__in=Household.objects.visible_to(request.user))
    account = get_object_or_404(mine.select_related("household"), pk=pk)
    services.stop_change(account, by=signed_in(request), reason=request.POST.get("reason", ""))
    messages.success(request, _("The change is stopped: nothing goes to this account."))
    return redirect("payouts:new-account", account.household.public_id)


@role_required(FINANCE)
@require_safe
def finance_accounts(request: HttpRequest) -> HttpResponse:
    """Accounts about which somebody must decide."""
    return _finance_page(request)


def _finance_page(request: HttpRequest, trouble: str = "", status: int = 200) -> HttpResponse:
    waiting = needed_accounts.to_approve()
    context = {
        "trouble": trouble,
        "waiting": waiting[:SHOWN],
        "waiting_count": waiting.count(),
        "bounced": needed_accounts.bounced()[:SHOWN],
        "to_put_back": needed_accounts.to_put_back()[:SHOWN],
        "cooling": needed_accounts.cooling()[:SHOWN],
    }
    return render(request, "finance/accounts.html", context, status=status)


@role_required(FINANCE)
@require_POST
def decide_account(request: HttpRequest, pk: int) -> HttpResponse:
    """Approves, rejects, stops or puts back an account."""
    account = get_object_or_404(BankAccount.objects.select_related("household"), pk=pk)
    decide = DECISIONS.get(request.POST.get("decision", ""))
    try:
        if decide is None:
            raise DomainError("no_decision", _("Choose what becomes of the account."))
        decide(account, signed_in(request), request.POST.get("reason", ""))
    except DomainError as error:
        return _finance_page(request, error.message, error.status)
    messages.success(request, _("Decided."))
    return redirect("payouts:finance-accounts")
