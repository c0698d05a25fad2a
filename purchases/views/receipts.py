"""A receipt for the buyer's books, on the screen and on paper."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from purchases import receipts
from purchases.models import Order


def _order(token: str) -> Order:
    orders = Order.objects.filter(paid_at__isnull=False).select_related("buyer__organisation")
    return get_object_or_404(orders, token=token)


@require_safe
@never_cache
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    """The receipt of a paid order; there is none of any other (404)."""
    return render(request, "purchases/receipt.html", {"receipt": receipts.receipt(_order(token))})


@require_safe
@never_cache
def receipt_pdf(request: HttpRequest, token: str) -> HttpResponse:
    """The receipt as a PDF."""
    order = _order(token)
    answer = HttpResponse(receipts.receipt_pdf(order), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="receipt-{order.number}.pdf"'
    return answer
