"""The calculator's forms. Amounts are Decimals; what an event did not have is 0."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from purchases import footprint
from purchases.airports import AIRPORTS

_NUMBER = {"inputmode": "decimal"}


def _amount(label: Any, most: int, *, required: bool = True, help_text: Any = "") -> forms.DecimalField:
    """An amount that is not negative."""
    return forms.DecimalField(
        label=label,
        min_value=0,
        max_value=most,
        max_digits=14,
        decimal_places=2,
        required=required,
        help_text=help_text,
        widget=forms.NumberInput({**_NUMBER, "step": "any"}),
    )


def _count(label: Any, most: int, *, initial: int | None = None, required: bool = True) -> forms.IntegerField:
    least = 1 if required else 0
    widget = forms.NumberInput({"inputmode": "numeric"})
    return forms.IntegerField(
        label=label, min_value=least, max_value=most, initial=initial, required=required, widget=widget
    )


def _airports() -> list[tuple[str, str]]:
    in_chinese = (get_language() or "").startswith("zh")
    return [("", "—"), *((code, f"{a.name_zh if in_chinese else a.name_en} {code}") for code, a in AIRPORTS.items())]


class FlightForm(forms.Form):
    """Two airports, or a distance."""

    start = forms.ChoiceField(label=_("Flying from"), choices=_airports, required=False)
    end = forms.ChoiceField(label=_("Flying to"), choices=_airports, required=False)
    km = _amount(_("Or so many kilometres"), 50_000, required=False)
    cabin = forms.ChoiceField(label=_("Class"), choices=lambda: _names(footprint.CABINS), initial="economy")
    people = _count(_("People"), 100_000, initial=1)
    there_and_back = forms.BooleanField(label=_("There and back"), required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        start, end = data.get("start"), data.get("end")
        if not data.get("km") and not self.errors:
            if not start or not end or start == end:
                self.add_error("km", _("Choose two airports, or enter how many kilometres you fly."))
            else:
                data["km"] = footprint.distance_km(start, end)
        return data


class CommuteForm(forms.Form):
    """How somebody gets to work."""

    way = forms.ChoiceField(
        label=_("By"),
        choices=lambda: [*_names(footprint.WAYS), ("electric", _("electric car or electric bicycle"))],
    )
    km_per_day = _amount(_("Kilometres a day, there and back"), 1_000)
    days = forms.IntegerField(label=_("Days a year"), min_value=1, max_value=366, initial=230)
    kwh_per_100_km = _amount(
        _("Electric: kWh for 100 km"),
        100,
        required=False,
        help_text=_("Your vehicle shows it, or your meter does when you charge."),
    )

    def clean_kwh_per_100_km(self) -> Decimal:
        value = self.cleaned_data["kwh_per_100_km"] or Decimal(0)
        if self.cleaned_data.get("way") == "electric" and not value:
            raise forms.ValidationError(_("Enter how much electricity it uses: nobody publishes a fair average."))
        return value


class ElectricityForm(forms.Form):
    """Electricity from the grid."""

    kwh = _amount(_("Kilowatt hours (kWh)"), 10_000_000_000, help_text=_("The year's electricity bills have it."))
    grid = forms.ChoiceField(
        label=_("Where"),
        choices=lambda: [(footprint.COUNTRY, _("national average")), *((n, n) for n in list(footprint.GRIDS)[1:])],
    )


class EventForm(forms.Form):
    """A conference: journeys there and back, nights, and the electricity of the venue."""

    people_by_air = _count(_("People who come by air"), 1_000_000, required=False)
    km_by_air = _amount(_("Their flight, there and back (km each)"), 50_000, required=False)
    people_by_train = _count(_("People who come by train"), 1_000_000, required=False)
    km_by_train = _amount(_("Their journey, there and back (km each)"), 20_000, required=False)
    rooms = _count(_("Hotel rooms"), 1_000_000, required=False)
    nights = _count(_("Nights"), 366, required=False)
    kwh = _amount(_("Electricity of the venue (kWh)"), 10_000_000_000, required=False)

    def clean(self) -> dict[str, Any]:
        data = {name: value or Decimal(0) for name, value in (super().clean() or {}).items()}
        pairs = (("people_by_air", "km_by_air"), ("people_by_train", "km_by_train"), ("rooms", "nights"))
        for pair in pairs:
            given = [name for name in pair if data.get(name)]
            if len(given) == 1 and not self.errors:
                missing = pair[0] if given == [pair[1]] else pair[1]
                self.add_error(missing, _("Enter this too, or leave both empty."))
        if not self.errors and not any(data.values()):
            raise forms.ValidationError(_("Enter at least one journey, stay or amount of electricity."))
        return data


def _names(factors: dict[str, footprint.Factor]) -> list[tuple[str, Any]]:
    return [(key, factor.name) for key, factor in factors.items()]
