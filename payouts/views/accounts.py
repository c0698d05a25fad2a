"""Pages of households' bank accounts."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER
from carbonsink.accounts.views import role_required
from carbonsink.pages import form_page
from payouts.accounts import enter_account
from payouts.forms import BankAccountForm
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
