"""How much CO₂ a flight, a commute, a firm's electricity or a conference gives off: published factors, and the sums.

Pure functions of Decimals; every factor has its unit, year and source. Nothing is calculated without one: electric cars
and bicycles by the electricity that their owners know they use.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from purchases.airports import AIRPORTS

EARTH_RADIUS_KM = 6371.0088  # Mean radius, IUGG.


@dataclass(frozen=True)
class Source:
    """Where factors were published: by whom, what, and for which year they hold."""

    publisher: str
    title: str
    year: int
    address: str


@dataclass(frozen=True)
class Factor:
    """Kilograms of CO₂ (or CO₂e, where the source counts other gases too) for one unit."""

    name: str | Promise
    kg: Decimal
    unit: str | Promise
    source: Source


@dataclass(frozen=True)
class Part:
    """A part of a footprint: an amount in the factor's unit, and the kilograms that come of it."""

    amount: Decimal
    factor: Factor

    @property
    def kg(self) -> Decimal:
        """Kilograms of CO₂."""
        return self.amount * self.factor.kg


@dataclass(frozen=True)
class Footprint:
    """What was added up."""

    parts: tuple[Part, ...]

    @property
    def kg(self) -> Decimal:
        """Kilograms of CO₂ in all."""
        return sum((part.kg for part in self.parts), Decimal(0))

    @property
    def sources(self) -> list[Source]:
        """The sources of its factors, each once."""
        return list(dict.fromkeys(part.factor.source for part in self.parts))

    def trees(self, sink_kg: int) -> int:
        """How many trees' sinks of one year have as many kilograms by the tariff, rounded up to whole trees."""
        return int((self.kg / sink_kg).to_integral_value(ROUND_CEILING))


DESNZ = Source(
    "Department for Energy Security and Net Zero (UK)",
    "Greenhouse gas reporting: conversion factors 2026, full set, version 1",
    2026,
    "https://www.gov.uk/government/publications/greenhouse-gas-reporting-conversion-factors-2026",
)
MEE_2023 = Source("生态环境部、国家统计局", "关于发布2023年电力二氧化碳排放因子的公告", 2023, "https://www.mee.gov.cn/")
MEE_2022 = Source(
    "生态环境部、国家统计局",
    "关于发布2022年电力二氧化碳排放因子的公告(2024年12月20日)",
    2022,
    "https://www.mee.gov.cn/",
)

# Sheet “Business travel- air”, flights between countries other than the UK, with the effects of vapour and contrails
# (radiative forcing). They are for the great-circle distance: 8 % for detours are in them.
_PERSON_KM = _("person and km")
CABINS = {
    "economy": Factor(_("flight, economy class"), Decimal("0.10916"), _PERSON_KM, DESNZ),
    "premium": Factor(_("flight, premium economy class"), Decimal("0.17465"), _PERSON_KM, DESNZ),
    "business": Factor(_("flight, business class"), Decimal("0.31656"), _PERSON_KM, DESNZ),
    "first": Factor(_("flight, first class"), Decimal("0.43663"), _PERSON_KM, DESNZ),
}
# Sheet “Business travel- land”: average car by fuel (for the whole car), average local bus, London Underground.
WAYS = {
    "car": Factor(_("car, petrol"), Decimal("0.16152"), _("km"), DESNZ),
    "hybrid": Factor(_("car, hybrid"), Decimal("0.12961"), _("km"), DESNZ),
    "bus": Factor(_("bus"), Decimal("0.10151"), _PERSON_KM, DESNZ),
    "metro": Factor(_("metro"), Decimal("0.01549"), _PERSON_KM, DESNZ),
}
# The same sheet, national rail; sheet “Hotel stay”, China.
TRAIN = Factor(_("train"), Decimal("0.03092"), _PERSON_KM, DESNZ)
HOTEL = Factor(_("hotel in China"), Decimal("53.5"), _("room and night"), DESNZ)

_KWH = "kWh"
_PROVINCES_2022 = {
    "北京": "0.5580", "天津": "0.7041", "河北": "0.7252", "山西": "0.7096", "内蒙古": "0.6849", "辽宁": "0.5626",
    "吉林": "0.4932", "黑龙江": "0.5368", "上海": "0.5849", "江苏": "0.5978", "浙江": "0.5153", "安徽": "0.6782",
    "福建": "0.4092", "江西": "0.5752", "山东": "0.6410", "河南": "0.6058", "湖北": "0.4364", "湖南": "0.4900",
    "广东": "0.4403", "广西": "0.4044", "海南": "0.4184", "重庆": "0.5227", "四川": "0.1404", "贵州": "0.4989",
    "云南": "0.1073", "陕西": "0.6558", "甘肃": "0.4772", "青海": "0.1567", "宁夏": "0.6423", "新疆": "0.6231",
}  # fmt: skip
COUNTRY = "全国"
GRIDS = {
    COUNTRY: Factor(_("electricity, national average"), Decimal("0.5306"), _KWH, MEE_2023),
    **{name: Factor(name, Decimal(kg), _KWH, MEE_2022) for name, kg in _PROVINCES_2022.items()},
}


def distance_km(start: str, end: str) -> Decimal:
    """The great-circle distance of two airports by their codes, in whole kilometres."""
    (lat1, lon1), (lat2, lon2) = (
        (math.radians(AIRPORTS[code].lat), math.radians(AIRPORTS[code].lon)) for code in (start, end)
    )
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return Decimal(round(2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half)))))


def of_flight(km: Decimal, cabin: str, people: int = 1, *, there_and_back: bool = False) -> Footprint:
    """A flight of so many kilometres in a cabin (a key of CABINS)."""
    return Footprint((Part(km * people * (2 if there_and_back else 1), CABINS[cabin]),))


def of_commute(way: str, km_per_day: Decimal, days: int, kwh_per_100_km: Decimal = Decimal(0)) -> Footprint:
    """A year's commute: a key of WAYS, or `electric` for a vehicle that uses so much electricity as its owner knows."""
    km = km_per_day * days
    if way == "electric":
        return Footprint((Part(km * kwh_per_100_km / 100, GRIDS[COUNTRY]),))
    return Footprint((Part(km, WAYS[way]),))


def of_electricity(kwh: Decimal, grid: str = COUNTRY) -> Footprint:
    """Electricity bought from the grid of a province (a key of GRIDS)."""
    return Footprint((Part(kwh, GRIDS[grid]),))


def of_event(parts: Sequence[tuple[Decimal, Factor]]) -> Footprint:
    """A conference: what was flown, ridden, slept and used, each an amount in its factor's unit."""
    return Footprint(tuple(Part(amount, factor) for amount, factor in parts if amount))
