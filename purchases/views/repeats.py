"""Reminders of an order: start, pause, go on, stop."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from purchases import repeats
from purchases.choices import address_again
from purchases.models import Order, Repeat
from purchases.portfolio import PAID

CHANGES = {"pause": Repeat.State.PAUSED, "resume": Repeat.State.ACTIVE, "stop": Repeat.State.STOPPED}


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def repeat(request: HttpRequest, token: str) -> HttpResponse:
    """Whether the buyer is reminded of an order when its year ends."""
    order = get_object_or_404(Order.objects.select_related("buyer"), token=token, state__in=PAID)
    found = Repeat.objects.filter(order=order).first()
    if request.method == "POST":
        wish = request.POST.get("do", "")
        if wish == "start" and found is None:
            repeats.start(order)
        elif wish in CHANGES and found is not None:
            repeats.change(found, CHANGES[wish])
        elif wish not in CHANGES and wish != "start":
            raise Http404
        return redirect("purchases:repeat", order.token)
    return render(request, "purchases/repeat.html", {"order": order, "repeat": found, "again": address_again(order)})
