"""What can be bought: the front page, areas, a tree; and the order form for each choice."""

from typing import Any

from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER
from carbonsink.pages import client_address, form_page
from purchases import areas, orders, vintages
from purchases.forms import OrderForm
from purchases.models import Sink, Stock, Tariff
from trees import carbon, chart, growth
from trees.models import Division, Tree
from trees.numbers import is_tree_number
from trees.registration import find_tree

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
