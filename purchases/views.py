"""Public pages of the market: what can be bought, a tree, an order, a certificate; and the gateways' callbacks."""

from typing import Any

import structlog
from django.conf import settings
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from carbonsink import qr
from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER
from carbonsink.errors import DomainError
from carbonsink.pages import client_address, form_page
from purchases import areas, certificates, orders, payments, proceeds, replacements, vintages
from purchases.forms import OrderForm
from purchases.gateways.base import NotificationRefused
from purchases.models import Certificate, Order, Sink, Stock, Tariff
from trees import carbon, chart, growth
from trees.models import Division, Tree
from trees.numbers import is_tree_number
from trees.registration import find_tree

log = structlog.get_logger(__name__)
SHOWN_TREES = 12


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The front page: what it is, what is unsold, and where."""
    tariff = vintages.current_tariff()
    places = areas.first_choice(tariff.vintage) if tariff else []
    figures = {
        "total": sum(place.total for place in places),
        "sold": sum(place.sold for place in places),
        "households": sum(place.households for place in places),
    }
    return render(request, "purchases/home.html", {"tariff": tariff, "places": places, "figures": figures})


def area(request: HttpRequest, code: str) -> HttpResponse:
    """An area: the places below it, some of its trees, and the form to buy trees here."""
    division = get_object_or_404(Division, code=code)
    tariff = vintages.current_tariff()
    return _order_page(
        request,
        "purchases/area.html",
        tariff,
        {"area": division},
        division=division,
        here=areas.whole(tariff.vintage, division) if tariff else None,
        places=areas.below(tariff.vintage, division) if tariff else [],
        trees=_some_trees(tariff, division) if tariff else [],
    )


def tree(request: HttpRequest, number: str) -> HttpResponse:
    """A tree: where it stands, what it is, its vintages, and the form to buy this very one."""
    if not is_tree_number(number):
        raise Http404
    trees = Tree.objects.exclude(enrolments=None).select_related("species", "household__village", "picture")
    field_page = _field_page(request, number)
    if field_page and not trees.filter(number=number).exists():
        return redirect(field_page)  # The tag of a tree that is not public yet.
    found = get_object_or_404(trees, number=number)
    tariff = vintages.current_tariff()
    sinks = vintages.sinks_of(found)
    sink = next((sink for sink in sinks if tariff and sink.vintage == tariff.vintage), None)
    for_sale = sink is not None and sink.open and sink.order_id is None
    return _order_page(
        request,
        "purchases/tree.html",
        tariff,
        {"tree": found},
        tree=found,
        sinks=sinks,
        sink=sink,
        for_sale=for_sale,
        field_page=field_page,
        **_growth(found),
    )


def _field_page(request: HttpRequest, number: str) -> str:
    """Where an officer of the tree's area works on it; empty for everybody else."""
    user = request.user
    if not (isinstance(user, User) and user.has_role(OFFICER)) or find_tree(user, number) is None:
        return ""
    return f"/field/#/tree/{number}"


def _growth(found: Tree) -> dict[str, Any]:
    """The tree's history, its chart, and the estimate of what it takes up, while it is in the scheme."""
    sights = growth.history(found)
    estimate = None
    if found.state == Tree.State.APPROVED:
        estimate = carbon.estimate(found.species, growth.measurements(sights))
    return {"sights": sights, "chart": chart.draw(sights), "estimate": estimate}


def _order_page(
    request: HttpRequest, template: str, tariff: Tariff | None, choice: dict[str, Any], **context: Any
) -> HttpResponse:
    """A page with the order form for a choice: an area or a tree."""

    def act(data: dict[str, Any]) -> HttpResponse:
        order = orders.place_order(
            key=str(data["form_token"]),
            contact=data["contact"],
            holder=data["holder"],
            quantity=data["quantity"],
            address=client_address(request),
            user=request.user if request.user.is_authenticated else None,
            **choice,
        )
        return redirect("purchases:order", order.token)

    return form_page(request, OrderForm(request.POST or None), template, act, tariff=tariff, **context)


def _some_trees(tariff: Tariff, division: Division) -> list[Tree]:
    """A few unsold trees of an area, to be looked at: of the households that have sold least."""
    stocks = Stock.objects.filter(vintage=tariff.vintage, village_code__startswith=division.prefix)
    least_sold = stocks.filter(sold__lt=F("total")).order_by("sold", "shuffle")[:SHOWN_TREES]
    households = [stock.household_id for stock in least_sold]
    sinks = Sink.objects.filter(household__in=households, vintage=tariff.vintage, order=None, open=True)
    shown = sinks.select_related("tree__species", "tree__household__village", "tree__picture")
    return [sink.tree for sink in shown.order_by("rank", "pk")[:SHOWN_TREES]]


@require_safe
@never_cache
def order(request: HttpRequest, token: str) -> HttpResponse:
    """An order: pay it, watch it, find its certificate."""
    found = orders.look_at(get_object_or_404(Order.objects.select_related("tree", "area"), token=token))
    context: dict[str, Any] = {"order": found, "payment": None, "trouble": ""}
    # The page asks the gateway, its live update only looks: a silent gateway must not be asked every two seconds.
    try:
        context["payment"] = payments.start_payment(found, ask=not request.htmx)  # type: ignore[attr-defined]
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
    payment = get_object_or_404(Order, token=token).payments.earliest("pk")
    if not payment.code_url:
        raise Http404
    return qr.response(payment.code_url)


@require_safe
def certificate(request: HttpRequest, token: str) -> HttpResponse:
    """A certificate and its check: what was signed, whether the signature fits, and what the register says now."""
    found = get_object_or_404(Certificate.objects.select_related("order"), token=token)
    shown = Tree.objects.filter(sinks__certificate=found).select_related("species", "household__village", "picture")
    context = {
        "certificate": found,
        "genuine": certificates.is_genuine(found),
        "payload": certificates.payload(found).decode(),
        "public_key": certificates.public_key_text(),
        "trees": shown.order_by("number")[:60],
        "proceeds": proceeds.proceeds(found.order),
        "releases": replacements.told(found.order),
        "successor": found.successors.first(),
    }
    return render(request, "purchases/certificate.html", context)


@require_safe
def certificate_qr(request: HttpRequest, token: str) -> HttpResponse:
    """The QR code that leads to the check of a certificate."""
    found = get_object_or_404(Certificate, token=token)
    return qr.response(settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[found.token]))


@csrf_exempt
@require_POST
def notification(request: HttpRequest, gateway: str) -> HttpResponse:
    """A gateway's callback. 200 once it is in the books; 401 for one that is not authentic."""
    if gateway not in settings.PAYMENT_GATEWAYS:
        raise Http404
    try:
        payments.receive_notification(gateway, dict(request.headers), request.body)
    except NotificationRefused as error:
        log.warning("notification_refused", gateway=gateway, why=str(error))
        return JsonResponse({"code": "FAIL", "message": "签名错误"}, status=401)
    return JsonResponse({"code": "SUCCESS", "message": "成功"})
