"""An order: placing it, watching it, giving trees back."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from carbonsink import qr
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.pages import client_address, form_page
from purchases import checkout, givebacks, orders, organisations, proceeds, replacements, ways
from purchases.allocation import unsold_of
from purchases.choices import address_again
from purchases.forms import GiveBackForm, OrderForm
from purchases.models import Buyer, Certificate, Order, Payment, Refund
from purchases.views.paying import openid_page
from purchases.wishes import check_contact

ENDED = (Payment.State.FAILED, Payment.State.CLOSED)
# Tokens of a visitor's newest orders that are to be gifts: enough for a morning's shopping.
GIFTS_REMEMBERED = 20


def order_form(request: HttpRequest) -> OrderForm:
    """The order form as a visitor sent it, or a new one with what is known of them and wished for (`?trees=12`)."""
    if request.method == "POST":
        return OrderForm(request.POST)
    initial: dict[str, Any] = {}
    trees = request.GET.get("trees", "")
    if trees.isdecimal() and 0 < len(trees) < 10 and int(trees):
        initial["quantity"] = int(trees)
    if isinstance(request.user, User):
        initial["contact"] = request.user.phone or request.user.email
    return OrderForm(initial=initial)


def place(request: HttpRequest, form: OrderForm, choice: dict[str, Any]) -> HttpResponse:
    """Places the order of a valid form for a choice, and leads to its page. Raises what `place_order` raises; the
    organisation stays noted all the same."""
    data, organisation = form.cleaned_data, None
    if data["kind"] != Buyer.Kind.INDIVIDUAL:
        organisation = organisations.find_or_note(
            data["code"], data["organisation_name"], data["kind"], check_contact(data["contact"])
        )
    try:
        order = orders.place_order(
            key=str(data["form_token"]),
            contact=data["contact"],
            holder=data["holder"],
            dedication=data["dedication"],
            quantity=data["quantity"],
            organisation=organisation,
            contact_person=data["contact_person"] if organisation else "",
            pays_by=data.get("pays_by", Order.PaysBy.ONLINE),
            address=client_address(request),
            user=request.user if isinstance(request.user, User) else None,
            **choice,
        )
    except DomainError as error:
        form.not_checked = error.code == "not_checked"
        raise
    if data["is_gift"]:
        request.session["gifts"] = [*request.session.get("gifts", []), order.token][-GIFTS_REMEMBERED:]
    return redirect("purchases:order", order.token)


@require_safe
@never_cache
def order(request: HttpRequest, token: str) -> HttpResponse:
    """An order: pay it, watch it, find its certificate. Looks only: no gateway is asked for a GET."""
    chosen = ("tree", "area", "household__village", "species", "campaign", "buyer__organisation")
    found = orders.look_at(get_object_or_404(Order.objects.select_related(*chosen), token=token))
    context: dict[str, Any] = {
        "order": found,
        "releases": replacements.told(found),
        "refunds": Refund.objects.filter(payment__order=found).order_by("pk"),
        "odd": _odd_captures(found),
    }
    if found.state == Order.State.HELD:
        context |= _held(request, found)
    elif found.state == Order.State.SHORT:
        context["left"] = unsold_of(found)
    elif found.state in Order.HAS_TREES:
        context["proceeds"] = proceeds.proceeds(found)
        context["is_gift"] = found.token in request.session.get("gifts", [])
    elif found.state in (Order.State.EXPIRED, Order.State.CANCELLED):
        context["paying"] = found.payments.filter(state=Payment.State.CREATED).exclude(pay_url="", prepay_id="")
    context["again"] = address_again(found, context.get("left"))
    context["look_again"] = _seconds_to_next_look(context)
    # The same partial serves the page and its live update.
    template = "purchases/_order_status.html" if request.htmx else "purchases/order.html"  # type: ignore[attr-defined]
    return render(request, template, context)


def _held(request: HttpRequest, found: Order) -> dict[str, Any]:
    """How a held order can be paid here, how it is being paid, and since when its buyer is back from paying."""
    if found.pays_by == Order.PaysBy.TRANSFER:
        account = {
            "name": settings.TRANSFER_BANK_NAME,
            "holder": settings.TRANSFER_ACCOUNT_HOLDER,
            "number": settings.TRANSFER_ACCOUNT_NUMBER,
        }
        return {"transfer": True, "bank": account}
    agent = request.headers.get("User-Agent", "")
    fit, others = ways.for_device(agent)
    payment = checkout.opened(found)
    way = ways.way_of(payment) if payment else None
    newest = found.payments.order_by("-pk").first()
    openid = openid_page(request, found)
    # Where nothing is to be chosen, the page's script presses the button by itself; never twice in vain.
    alone = fit[0].product if len(fit) == 1 and newest is None else ""
    waited = _seconds_waited(request)
    return {
        "minutes_left": max(1, round((found.expires_at - timezone.now()) / timedelta(minutes=1))),
        "payment": payment,
        "way": way,
        "fit": [] if payment else fit,
        "others": [other for other in (*fit, *others) if other != way] if payment else others,
        "openid_page": openid,
        "ended": payment is None
        and newest is not None
        and newest.state in (Payment.State.FAILED, Payment.State.CLOSED),
        "press": alone == "native" or (alone == "jsapi" and not openid and "press" in request.GET),
        "waited": waited,
        "since": int(timezone.now().timestamp()) - waited if waited is not None else None,
    }


def _seconds_waited(request: HttpRequest) -> int | None:
    """How long ago the buyer came back from paying; None for one who did not."""
    if not request.GET.get("back"):
        return None
    since, now = request.GET.get("since", ""), int(timezone.now().timestamp())
    return max(0, now - int(since)) if since.isdecimal() and len(since) < 12 else 0


def _seconds_to_next_look(context: dict[str, Any]) -> int:
    """After how many seconds the page looks again by itself; 0 when nothing changes any more."""
    found = context["order"]
    if found.state == Order.State.ALLOCATING:
        return 2
    if found.state == Order.State.HELD:
        if context.get("transfer"):
            return 30
        waited = context["waited"]
        if waited is not None:  # The longer it takes, the less often.
            return 2 if waited < 10 else 4 if waited < 60 else 10
        return 2 if context["payment"] else 10
    if context.get("paying"):
        return 10
    money = context.get("proceeds")
    moves = money is not None and money.arrived_fen != money.total_fen
    return 5 if moves else 10 if any(refund.state != Refund.State.SUCCEEDED for refund in context["refunds"]) else 0


def _odd_captures(found: Order) -> list[Payment]:
    """Payments of another amount that wait for a person."""
    captured = found.payments.filter(state=Payment.State.CAPTURED, refunds=None)
    return list(captured.exclude(captured_fen=found.total_fen).order_by("pk"))


@require_safe
def order_qr(request: HttpRequest, token: str) -> HttpResponse:
    """The QR code that the buyer's payment app scans."""
    payment = checkout.opened(get_object_or_404(Order, token=token))
    if payment is None or payment.product != "native":
        raise Http404
    return qr.response(payment.pay_url)


@never_cache
def give_back(request: HttpRequest, token: str) -> HttpResponse:
    """The form with which a buyer gives trees back, while their money has not gone to a household."""
    found = get_object_or_404(Order.objects.select_related("buyer"), token=token)
    mine = found.certificates.filter(owner=found.buyer_id)
    trees = mine.filter(state=Certificate.State.VALID).aggregate(n=Sum("trees", default=0))["n"]
    free = givebacks.returnable(found)
    until = givebacks.last_day(found)
    money = proceeds.proceeds(found)

    def act(data: dict[str, Any]) -> HttpResponse:
        by = request.user if isinstance(request.user, User) else None
        refund = givebacks.give_back(found, data["trees"], by=by, reason="asked for by the buyer")
        messages.success(request, _("Your trees were given back. Their price is on its way to you."))
        return redirect(reverse("purchases:order", args=[refund.payment.order.token]))

    return form_page(
        request,
        GiveBackForm(request.POST or None, initial={"trees": free}),
        "purchases/give_back.html",
        act,
        order=found,
        trees=trees,
        until=until,
        too_late=until is not None and timezone.now() > until,
        retired=mine.filter(state=Certificate.State.RETIRED).exists(),
        gone_fen=money.on_the_way_fen + money.arrived_fen,
        all_gone=not free,
    )
