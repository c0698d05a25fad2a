"""What can be bought: the front page, areas, households, species, a tree; and the order form for each choice."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import OFFICER
from carbonsink.pages import form_page
from purchases import areas, campaigns, catalogue, kinds, outlines, proceeds, vintages
from purchases.models import Tariff
from purchases.places_map import places_map
from purchases.views import ordering
from trees import carbon, chart, growth
from trees.models import Division, Household, Species, Tree
from trees.numbers import is_tree_number
from trees.registration import find_tree


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The front page: what it is, what is unsold, and where."""
    tariff = vintages.current_tariff()
    levels = ("province", "prefecture", "county")
    found: dict[str, list[areas.Area]] = {level: [] for level in levels}
    if tariff:
        found = areas.at_levels(tariff.vintage, "", *levels)
    counties = found["county"]
    figures = {
        "total": sum(place.total for place in counties),
        "sold": sum(place.sold for place in counties),
        "households": sum(place.households for place in counties),
    }
    figures["unsold"] = figures["total"] - figures["sold"]
    return render(
        request,
        "purchases/home.html",
        {
            "tariff": tariff,
            "places": areas.first_choice(tariff.vintage, found) if tariff else [],
            "figures": figures,
            "map": places_map(tariff.vintage, "", counties) if tariff else None,
            "trees": catalogue.least_sold(tariff.vintage).trees[:6] if tariff else [],
            "arrived": proceeds.arrived(),
            "campaigns": campaigns.running()[:3],
        },
    )


def anywhere(request: HttpRequest) -> HttpResponse:
    """Trees of the households that have sold least, wherever they are."""
    tariff = vintages.current_tariff()
    page = catalogue.least_sold(tariff.vintage, after=request.GET.get("after", "")) if tariff else None
    unsold = vintages.unsold(tariff.vintage) if tariff else 0
    return _order_page(request, "purchases/anywhere.html", tariff, {}, page=page, unsold=unsold)


def area(request: HttpRequest, code: str) -> HttpResponse:
    """An area: the places below it, some of its trees, and the form to buy trees here."""
    division = get_object_or_404(Division, code=code)
    tariff = vintages.current_tariff()
    context = _area(request, tariff.vintage, division) if tariff else {}
    return _order_page(request, "purchases/area.html", tariff, {"area": division}, division=division, **context)


def _area(request: HttpRequest, vintage: int, division: Division) -> dict[str, Any]:
    """What an area's page shows of a vintage."""
    below = areas.level_below(division)
    # The map shows counties by their outlines, and within a county the villages.
    on_map = _MAPPED.get(division.level)
    found = areas.at_levels(vintage, division.prefix, division.level, *filter(None, {below, on_map}))
    here = found[division.level] or [areas.Area(0, 0, 0, division)]
    shown: dict[str, Any] = {}
    if below is None:
        asked = request.GET.get("households", "")
        shown["holdings"], shown["more_holdings"] = catalogue.holdings(vintage, division, asked)
    return {
        "here": here[0],
        "spread": areas.spread(vintage, division.prefix),
        "places": areas.least_sold_first(found[below]) if below else [],
        "map": places_map(vintage, division.prefix, found[on_map]) if on_map else None,
        "page": catalogue.least_sold(vintage, area=division, after=request.GET.get("after", "")),
        "species": kinds.of_area(vintage, division.prefix),
        **shown,
    }


_MAPPED = {"province": "county", "prefecture": "county", "county": "village", "township": "village"}


@require_safe
def map_outlines(request: HttpRequest) -> HttpResponse:
    """The outlines of the counties within a division, as GeoJSON; without one, of all counties."""
    prefix = request.GET.get("within", "")
    if prefix and not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 6):
        raise Http404
    named = outlines.version(prefix)
    etag = f'"{named}"'
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
    return HttpResponse(outlines.features(prefix, named), content_type="application/geo+json", headers=headers)


def household(request: HttpRequest, public_id: str) -> HttpResponse:
    """A household as the public sees it: masked name, village, its trees for sale, and the form to buy of them."""
    found = get_object_or_404(Household.objects.select_related("village"), public_id=public_id)
    tariff = vintages.current_tariff()
    here = catalogue.holding(tariff.vintage, found) if tariff else None
    if here is None or not here.total:
        raise Http404  # Nothing of it is public.
    page = catalogue.for_sale(tariff.vintage, household=found, after=request.GET.get("after", "")) if tariff else None
    return _order_page(
        request, "purchases/household.html", tariff, {"household": found}, household=found, here=here, page=page
    )


@require_safe
def species_list(request: HttpRequest) -> HttpResponse:
    """All species with trees for sale."""
    tariff = vintages.current_tariff()
    found = kinds.of_area(tariff.vintage) if tariff else []
    return render(request, "purchases/species_list.html", {"tariff": tariff, "species": found})


def species(request: HttpRequest, pk: int) -> HttpResponse:
    """A species: what it is, a picture, how many are for sale where, and the form to buy trees of it."""
    found = get_object_or_404(Species, pk=pk)
    tariff = vintages.current_tariff()
    wanted = request.GET.get("area", "")
    division = get_object_or_404(Division, code=wanted) if wanted else None
    context: dict[str, Any] = {}
    if tariff:
        after = request.GET.get("after", "")
        context["page"] = catalogue.least_sold(tariff.vintage, area=division, species=found, after=after)
        context["kind"] = kinds.kind(tariff.vintage, found, division.prefix if division else "")
        context["counties"] = kinds.counties(tariff.vintage, found)
    return _order_page(
        request,
        "purchases/species.html",
        tariff,
        {"species": found, "area": division},
        species=found,
        division=division,
        **context,
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
    instead = catalogue.neighbours(tariff.vintage, found) if tariff and not for_sale else []
    return _order_page(
        request,
        "purchases/tree.html",
        tariff,
        {"tree": found},
        tree=found,
        sinks=sinks,
        sink=sink,
        for_sale=for_sale,
        instead=instead,
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
    """A page with the order form for a choice: an area, a household, a species, a campaign, a tree, or anywhere."""

    form = ordering.order_form(request)

    def act(_data: dict[str, Any]) -> HttpResponse:
        return ordering.place(request, form, choice)

    return form_page(request, form, template, act, tariff=tariff, **context)
