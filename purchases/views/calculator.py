"""The calculator: how much CO₂ something gives off, and how many trees count as much by the tariff."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from purchases import footprint, vintages
from purchases.calculator_forms import CommuteForm, ElectricityForm, EventForm, FlightForm
from purchases.footprint import Footprint

FORMS: dict[str, tuple[Any, type[Any]]] = {
    "flight": (_("My flight"), FlightForm),
    "commute": (_("My way to work"), CommuteForm),
    "electricity": (_("Our firm's electricity"), ElectricityForm),
    "event": (_("Our conference"), EventForm),
}


@require_safe
def calculator(request: HttpRequest) -> HttpResponse:
    """Four small forms; what is entered stands in the address, so that a result can be shared."""
    chosen = request.GET.get("of", "flight")
    chosen = chosen if chosen in FORMS else "flight"
    asked = "go" in request.GET
    form = FORMS[chosen][1](request.GET if asked else None)
    tariff = vintages.current_tariff()
    result = _CALCULATED[chosen](form.cleaned_data) if asked and form.is_valid() else None
    context = {
        "tabs": [(name, title) for name, (title, _form) in FORMS.items()],
        "chosen": chosen,
        "form": form,
        "tariff": tariff,
        "result": result,
        "trees": result.trees(tariff.sink_kg) if result and tariff else None,
    }
    return render(request, "purchases/calculator.html", context, status=400 if form.errors else 200)


def _flight(data: dict[str, Any]) -> Footprint:
    return footprint.of_flight(data["km"], data["cabin"], data["people"], there_and_back=data["there_and_back"])


def _commute(data: dict[str, Any]) -> Footprint:
    return footprint.of_commute(data["way"], data["km_per_day"], data["days"], data["kwh_per_100_km"])


def _electricity(data: dict[str, Any]) -> Footprint:
    return footprint.of_electricity(data["kwh"], data["grid"])


def _event(data: dict[str, Any]) -> Footprint:
    return footprint.of_event(
        [
            (data["people_by_air"] * data["km_by_air"], footprint.CABINS["economy"]),
            (data["people_by_train"] * data["km_by_train"], footprint.TRAIN),
            (data["rooms"] * data["nights"], footprint.HOTEL),
            (data["kwh"], footprint.GRIDS[footprint.COUNTRY]),
        ]
    )


_CALCULATED: dict[str, Callable[[dict[str, Any]], Footprint]] = {
    "flight": _flight,
    "commute": _commute,
    "electricity": _electricity,
    "event": _event,
}
