"""The columns of a file of trees, and what of a row is staged."""

import re
from decimal import Decimal
from math import pi
from typing import Any

from django.utils.translation import gettext_lazy as _

from carbonsink.crypto import digests, mask
from carbonsink.tables.cells import Unreadable, lost_digits, parse_date, parse_decimal, parse_integer
from trees.imports.columns import Column

# As the officer's door has them.
YEARS, ACCURACY_M = (1800, 2200), (0, 32_000)
LARGEST_NUMBER = Decimal(100_000)  # Of centimetres and degrees; what is too large for the registry is said in SQL.
HOUSEHOLD_CODE_DIGITS = 15
# How a household was named by its head's ID number: the digests under all look-up keys.
BY_ID_NUMBER = "id:"
_PUBLIC_ID = re.compile(r"[0-9a-fA-F]{20}")
_ID_NUMBER = re.compile(r"\d{17}[\dXx]")
_SIX_DECIMALS = re.compile(r"-?\d{1,3}(?:\.\d{1,6})?")


def _household(text: str) -> str:
    """Its code (village and ordinal), its public id, or its head's ID number."""
    text = text.lstrip("'").removesuffix(".0")
    if _PUBLIC_ID.fullmatch(text):
        return text.lower()
    code = text.replace("-", "").replace(" ", "")
    if _ID_NUMBER.fullmatch(code):
        return BY_ID_NUMBER + ",".join(digests(code))
    if lost_digits(text):
        raise Unreadable("lost_digits")
    if code.isdigit() and len(code) in (13, 14, 17):
        raise Unreadable("lost_zeros")
    if len(code) != HOUSEHOLD_CODE_DIGITS or not (code.isascii() and code.isdigit()):
        raise Unreadable("unknown_household")
    return code


def _species(text: str) -> str:
    if len(text) > 80:
        raise Unreadable("unknown_species")
    return text.lower()


def _centimetres(text: str) -> Decimal:
    return _within(parse_decimal(text, 1, ("cm", "厘米", "公分")), -LARGEST_NUMBER, LARGEST_NUMBER)


def _girth(text: str) -> Decimal:
    """As a DBH; rounded once, at the end, as the officer's page does."""
    girth = _within(parse_decimal(text, 6, ("cm", "厘米", "公分")), -LARGEST_NUMBER, LARGEST_NUMBER)
    return round(Decimal(float(girth) / pi), 1)


def _degrees(text: str) -> Any:
    if _SIX_DECIMALS.fullmatch(text):
        return text
    return _within(parse_decimal(text.rstrip("°EN"), 6), -LARGEST_NUMBER, LARGEST_NUMBER)


def _year(text: str) -> int:
    if len(text) > 6 and not text.endswith("年"):
        return parse_date(text).year
    return int(_within(parse_integer(text, ("年",)), *YEARS))


def _accuracy(text: str) -> int:
    metres = parse_decimal(text, 6, ("m", "米"))
    return int(_within(metres.to_integral_value(rounding="ROUND_UP"), *ACCURACY_M))


def _within(value: Any, least: Any, most: Any) -> Any:
    if not least <= value <= most:
        raise Unreadable("out_of_range", least=int(least), most=int(most))
    return value


def _show_household(text: str) -> str:
    """A code is no secret; anything else may be an ID number."""
    code = text.replace("-", "").replace(" ", "")
    return text if len(code) <= HOUSEHOLD_CODE_DIGITS or _PUBLIC_ID.fullmatch(text) else mask(code, 6, 2)


COLUMNS = (
    Column(
        "household",
        _("household (code, public id, or ID number of its head)"),
        "农户编号 农户编码 农户代码 户编号 户编码 户号 农户 户主身份证号 户主身份证号码 身份证号 身份证号码 身份证",
        _household,
        missing="missing",
        show=_show_household,
    ),
    Column("species", _("species"), "树种 树种名称 树种名 种名 学名 拉丁学名 拉丁名", _species, missing="missing"),
    Column("dbh_cm", _("DBH (cm)"), "胸径 dbh", _centimetres),
    Column("girth_cm", _("girth (cm)"), "胸围 围径 girth", _girth),
    Column("planted_year", _("planted in"), "种植年份 种植年度 栽植年份 栽植年度 造林年份 造林年度 种植时间", _year),
    Column("lon", _("longitude"), "经度 东经 longitude lng", _degrees, as_it_is=_SIX_DECIMALS),
    Column("lat", _("latitude"), "纬度 北纬 latitude", _degrees, as_it_is=_SIX_DECIMALS),
    Column("accuracy_m", _("accuracy (m)"), "精度 定位精度 accuracy", _accuracy),
    Column(
        "measured_on",
        _("measured on"),
        "测量日期 测定日期 调查日期 测量时间 调查时间 登记日期",
        parse_date,
        missing="missing",
    ),
)
ONE_OF = ("dbh_cm", "girth_cm", "planted_year")
# What is staged of a row, after its line and whether a cell of it is wrong.
STAGED = {
    "household": "text", "household_shown": "text", "species": "text", "dbh_cm": "numeric", "planted_year": "smallint",
    "lon": "numeric", "lat": "numeric", "accuracy_m": "smallint", "measured_on": "date",
}  # fmt: skip


def staged(values: dict[str, Any], cells: dict[str, str]) -> tuple[Any, ...]:
    """A row's values in the order of STAGED."""
    household = values.get("household")
    dbh_cm = values.get("dbh_cm")
    return (
        household,
        _show_household(cells["household"]) if household and household.startswith(BY_ID_NUMBER) else None,
        values.get("species"),
        values.get("girth_cm") if dbh_cm is None else dbh_cm,
        values.get("planted_year"),
        values.get("lon"),
        values.get("lat"),
        values.get("accuracy_m"),
        values.get("measured_on"),
    )
