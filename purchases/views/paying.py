"""Paying an order: choosing a way, going there, coming back, giving up."""

import json
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from carbonsink.errors import DomainError
from carbonsink.pages import client_address
from purchases import checkout, orders, ways
from purchases.gateways import is_offered
from purchases.models import Order


def openid_page(request: HttpRequest, order: Order) -> str:
    """Where WeChat says who the buyer is, before paying inside it; empty when that is known or cannot be asked."""
    if request.session.get("wechat_openid") or not is_offered("wechatpay", "jsapi"):
        return ""
    back = f"{reverse('purchases:order', args=[order.token])}?press=1"
    return f"{reverse('purchases:wechat-openid')}?{urlencode({'next': back})}"


@require_POST
@never_cache
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """Opens a payment by the chosen way, and leads to where it goes on. A silent gateway leaves the order as it is."""
    order = orders.look_at(get_object_or_404(Order, token=token))
    page = reverse("purchases:order", args=[token])
    try:
        way = ways.find_way(request.POST.get("way", ""), request.headers.get("User-Agent", ""))
        if order.state != Order.State.HELD:
            raise checkout.not_payable()
        if order.pays_by == Order.PaysBy.TRANSFER:
            raise DomainError("not_offered", _("This order is paid by bank transfer."))
        openid = request.session.get("wechat_openid", "")
        if way.product == "jsapi" and not openid:
            raise DomainError("no_openid", _("WeChat has not said who pays yet. Choose WeChat Pay again."))
        checkout.start_payment(
            order,
            gateway_code=way.gateway,
            product=way.product,
            payer=openid if way.product == "jsapi" else "",
            payer_address=client_address(request).partition("/")[0],
            return_url=f"{settings.PUBLIC_BASE_URL}{page}?back=1",
        )
    except DomainError as error:
        messages.error(request, error.message)
        return see_other(page)
    names = {"native": "order", "jsapi": "order-wechat"}
    return see_other(reverse(f"purchases:{names.get(way.product, 'order-leave')}", args=[token]))


def see_other(address: str) -> HttpResponse:
    """A redirect after which the browser asks with GET, and going back sends nothing again."""
    response = redirect(address)
    response.status_code = 303
    return response


@require_safe
@never_cache
def leave(request: HttpRequest, token: str) -> HttpResponse:
    """The page that leads to the gateway's own. It is a page and no redirect, since browsers hold a redirect after a
    form to the form's rules (CSP form-action), and gateways' addresses change."""
    payment = checkout.opened(orders.look_at(get_object_or_404(Order, token=token)))
    if payment is None or not payment.pay_url.startswith(("https://", "http://")) or payment.product == "native":
        return redirect("purchases:order", token)
    context = {"order": payment.order, "payment": payment, "way": ways.way_of(payment)}
    response = render(request, "purchases/leave.html", context)
    # WeChat opens its H5 page only for a visitor who comes from the merchant's site; the address itself stays here.
    response["Referrer-Policy"] = "strict-origin"
    return response


@require_safe
@never_cache
def wechat(request: HttpRequest, token: str) -> HttpResponse:
    """The page inside WeChat that calls its bridge with the prepayment."""
    payment = checkout.opened(orders.look_at(get_object_or_404(Order, token=token)))
    if payment is None or not payment.prepay_id:
        return redirect("purchases:order", token)
    parameters = json.dumps(ways.bridge_parameters(payment))
    return render(request, "purchases/pay_wechat.html", {"order": payment.order, "parameters": parameters})


@require_POST
@never_cache
def ask(request: HttpRequest, token: str) -> HttpResponse:
    """Asks the gateway now whether the money has come."""
    order = get_object_or_404(Order, token=token)
    try:
        if not checkout.ask_again(order):
            messages.info(request, _("The payment service has not seen a payment yet."))
    except DomainError as error:
        messages.error(request, error.message)
    waiting = {"back": 1, "since": request.POST.get("since", "")}
    return see_other(f"{reverse('purchases:order', args=[token])}?{urlencode(waiting)}")


@require_POST
@never_cache
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    """The buyer gives the order up; its trees are for sale again at once."""
    try:
        orders.cancel_order(get_object_or_404(Order, token=token))
    except DomainError as error:
        messages.error(request, error.message)
    return see_other(reverse("purchases:order", args=[token]))
