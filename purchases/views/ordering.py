"""An order: paying it, watching it."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from carbonsink import qr
from carbonsink.errors import DomainError
from purchases import checkout, orders, proceeds, replacements
from purchases.models import Order


@require_safe
@never_cache
def order(request: HttpRequest, token: str) -> HttpResponse:
    """An order: pay it, watch it, find its certificate."""
    found = orders.look_at(get_object_or_404(Order.objects.select_related("tree", "area"), token=token))
    context: dict[str, Any] = {"order": found, "payment": None, "trouble": ""}
    # The page asks the gateway, its live update only looks: a silent gateway must not be asked every two seconds.
    if found.state == Order.State.HELD:
        try:
            context["payment"] = checkout.start_payment(found, ask=not request.htmx)  # type: ignore[attr-defined]
        except DomainError as error:
            context["trouble"] = error.message
    context["releases"] = replacements.told(found)
    if found.state in (Order.State.PAID, Order.State.PARTLY_REFUNDED):
        context["proceeds"] = proceeds.proceeds(found)
    # The same partial serves the page and its live update.
    template = "purchases/_order_status.html" if request.htmx else "purchases/order.html"  # type: ignore[attr-defined]
    return render(request, template, context)


@require_safe
def order_qr(request: HttpRequest, token: str) -> HttpResponse:
    """The QR code that the buyer's payment app scans."""
    payment = get_object_or_404(Order, token=token).payments.latest("pk")
    if not payment.pay_url:
        raise Http404
    return qr.response(payment.pay_url)
