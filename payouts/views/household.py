"""The page where a household sees its money and says what is wrong."""

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from carbonsink import limits
from carbonsink.errors import DomainError
from carbonsink.pages import client_address, form_page
from payouts import access, accounts, cases, earnings, plain_words
from payouts.models import BankAccount, Case, Payout
from trees.models import Household, Tree

# A whole village may share an address; whoever tries every PIN of every household does not get far.
TRIES_PER_ADDRESS, SENT_PER_ADDRESS, HOUR = 60, 20, 3600
SHOWN = 24
# Of what has left, nobody need say any more whose it is.
LEFT = (Tree.State.REJECTED, Tree.State.DEAD, Tree.State.FELLED, Tree.State.WITHDRAWN, Tree.State.EXPIRED)
SAID = {
    Case.Kind.ARRIVED: gettext_lazy("Thank you. We have noted that the money arrived."),
    Case.Kind.NOT_ARRIVED: gettext_lazy("We look where the money is. The answer comes by SMS and stands here."),
    Case.Kind.NOT_MINE: gettext_lazy("We look whose tree it is. The answer comes by SMS and stands here."),
}


class EmptyAgain(forms.TextInput):
    """Comes back empty when what was entered is wrong: one types it anew, not on behind it."""

    def format_value(self, value: object) -> None:
        """Nothing."""


class PinForm(forms.Form):
    """Six digits, shown while they are typed: hidden ones help nobody with weak eyes."""

    pin = forms.CharField(
        label=gettext_lazy("PIN (6 digits)"),
        max_length=12,
        widget=EmptyAgain(attrs={"inputmode": "numeric", "autocomplete": "off", "autofocus": True}),
    )


@never_cache
def household(request: HttpRequest, key: str) -> HttpResponse:
    """A household's page, reached by the QR code on its paper. Without the PIN it shows nothing of anybody."""
    found = get_object_or_404(Household.objects.select_related("village"), page_key=key)
    if access.is_open(request.session, found) and request.method in ("GET", "HEAD"):
        return render(request, "payouts/household.html", _seen(found))

    def act(data: dict[str, str]) -> HttpResponse:
        limits.allow("household-pin", client_address(request), TRIES_PER_ADDRESS, HOUR)
        row = access.enter_pin(found, data["pin"])
        request.session.cycle_key()
        access.open_page(request.session, row)
        return redirect("payouts:household", key)

    return form_page(request, PinForm(request.POST or None), "payouts/household_pin.html", act, key=key)


def _seen(household: Household) -> dict[str, object]:
    """Everything that a household sees of itself."""
    (money,) = earnings.earnings_of([household])
    versions = household.bank_accounts.order_by("-version")[:5]
    said = {case.tree_id: case for case in household.cases.filter(kind=Case.Kind.NOT_MINE).order_by("pk")}
    trees = list(household.trees.exclude(state__in=LEFT).select_related("species").order_by("ordinal"))
    return {
        "household": household,
        "money": money,
        "payouts": [(payout, _about(payout)) for payout in earnings.payouts_by_household(household, SHOWN)],
        "trees": [(tree, said.get(tree.pk)) for tree in trees],
        "why": plain_words.on_page(money.why),
        "changing": [account for account in versions if _can_be_stopped(account)],
    }


def _about(payout: Payout) -> dict[str, object]:
    """What the household said of a payout: the newest case, and whether it can still say the one or the other."""
    said = sorted(payout.cases.all(), key=lambda case: case.pk)
    newest = said[-1] if said else None
    arrived = any(case.kind == Case.Kind.ARRIVED for case in said)
    doubted = any(case.kind == Case.Kind.NOT_ARRIVED and case.state == Case.State.OPEN for case in said)
    succeeded = payout.state == Payout.State.SUCCEEDED
    return {
        "newest": newest,
        "may_confirm": succeeded and not arrived,
        "may_doubt": not doubted and (succeeded or payout.state in cases.SENT),
    }


def _can_be_stopped(account: BankAccount) -> bool:
    cools = account.state == BankAccount.State.APPROVED and account.usable_from > timezone.now()  # type: ignore[operator]
    return cools or account.state == BankAccount.State.ENTERED


def _opened(request: HttpRequest, key: str) -> Household:
    """The household whose PIN was entered on this device. DomainError once that is over."""
    found = get_object_or_404(Household, page_key=key)
    if not access.is_open(request.session, found):
        raise DomainError("closed", _("This page has closed itself. Scan the code and enter the PIN again."), 403)
    return found


@require_POST
def say(request: HttpRequest, key: str) -> HttpResponse:
    """One tap: the money arrived, it did not, or that is not our tree."""
    found, kind = _opened(request, key), request.POST.get("kind", "")
    payout = found.payouts.filter(out_no=request.POST.get("payout", "")).first()
    tree = found.trees.filter(number=request.POST.get("tree", "")).first() if payout is None else None
    cases.open_case(found, kind, payout=payout, tree=tree)
    messages.success(request, SAID[Case.Kind(kind)])
    return redirect("payouts:household", key)


@require_POST
def stop_change(request: HttpRequest, key: str) -> HttpResponse:
    """One tap: this new account is not ours, nothing may go there."""
    found, number = _opened(request, key), request.POST.get("version", "")
    if not (number.isascii() and number.isdigit() and len(number) < 5):
        raise Http404
    account = get_object_or_404(found.bank_accounts, version=int(number))
    accounts.stop_change(account, by=None, reason="stopped by the household on its page")
    messages.success(request, _("The new account is stopped. No money goes there. Your village officer will ask you."))
    return redirect("payouts:household", key)


@require_POST
def send_pin(request: HttpRequest, key: str) -> HttpResponse:
    """Sends a new PIN to the registered number, and says the same whatever came of it."""
    found = get_object_or_404(Household, page_key=key)
    limits.allow("household-new-pin", client_address(request), SENT_PER_ADDRESS, HOUR)
    access.send_pin(found)
    told = _("If a mobile number is registered here, a new PIN comes to it by SMS, at most three times a day.")
    messages.success(request, told)
    return redirect("payouts:household", key)


@require_POST
def leave(request: HttpRequest, key: str) -> HttpResponse:
    """Has this device forget the PIN."""
    get_object_or_404(Household, page_key=key)
    access.close_page(request.session)
    messages.success(request, _("This page is closed. Nobody can look at it without the PIN."))
    return redirect("payouts:household", key)
