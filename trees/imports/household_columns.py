"""The columns of a file of households, and what of a row is staged. Personal data leaves this module encrypted."""

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from carbonsink import crypto
from carbonsink.accounts.models import mobile_number
from carbonsink.errors import DomainError
from carbonsink.tables.cells import Unreadable, lost_digits, parse_date, parse_decimal
from trees.imports.columns import Column
from trees.models import Household
from trees.models.households import new_public_id
from trees.registration import check_id_number

CATEGORIES: dict[Any, tuple[str, ...]] = {
    Household.Category.POOR: ("建档立卡贫困户", "建档立卡户", "建档立卡", "脱贫户", "贫困户"),
    Household.Category.MONITORED: ("监测户", "监测对象", "边缘易致贫户", "脱贫不稳定户", "突发严重困难户"),
    Household.Category.SMALLHOLDER: ("农户", "小农户", "一般农户", "普通农户"),
}
TENURES: dict[Any, tuple[str, ...]] = {
    Household.Tenure.CERTIFICATE: ("林权证", "不动产权证", "有林权证"),
    Household.Tenure.RETURNED_FARMLAND: ("退耕还林", "退耕还林地", "退耕地"),
}


def _identifier(text: str) -> str:
    """A number that is a name: without the apostrophe that keeps it a text, and the .0 of one that became a number."""
    text = text.lstrip("'")
    if lost_digits(text):
        raise Unreadable("lost_digits")
    return text.removesuffix(".0")


def _id_number(text: str) -> str:
    number = crypto.normalise(_identifier(text))
    if number.isdigit() and len(number) in (16, 17):
        raise Unreadable("lost_zeros")
    try:
        return check_id_number(number)
    except DomainError as error:
        raise Unreadable(error.code) from error


def _phone(text: str) -> str:
    number = crypto.normalise(_identifier(text))
    for prefix in ("+86", "0086", "86", "0"):
        rest = number.removeprefix(prefix)
        if rest != number and mobile_number.regex.fullmatch(rest):  # type: ignore[union-attr]
            number = rest
    if not mobile_number.regex.fullmatch(number):  # type: ignore[union-attr]
        raise Unreadable("bad_phone")
    return number


def _village(text: str) -> str:
    code = crypto.normalise(_identifier(text))
    if code.isdigit() and len(code) in (10, 11):
        raise Unreadable("lost_zeros")
    if len(code) != 12 or not (code.isascii() and code.isdigit()):
        raise Unreadable("unknown_village")
    return code


def _area(text: str) -> Decimal:
    area = parse_decimal(text, 2, ("亩", "mu"))
    if not Decimal("0.01") <= area < 10_000:
        raise Unreadable("bad_area")
    return area


def _choice(known: dict[Any, tuple[str, ...]]) -> Any:
    by_word = {word.lower(): value.value for value, words in known.items() for word in (value.value, *words)}

    def parse(text: str) -> str:
        if text.lower() not in by_word:
            choices = ", ".join(f"{words[0]} ({value.value})" for value, words in known.items())
            raise Unreadable("not_a_choice", choices=choices)
        return by_word[text.lower()]

    return parse


def _at_most(most: int) -> Any:
    def parse(text: str) -> str:
        if len(text) > most:
            raise Unreadable("too_long", most=most)
        return text

    return parse


def _show_number(text: str) -> str:
    return crypto.mask(text, 6, 2) if len(text) > 12 else crypto.mask(text, 3, 4)


COLUMNS = (
    Column(
        "village_code",
        _("village (code)"),
        "村代码 村编码 村编号 行政村代码 行政村编码 区划代码 行政区划代码 村级代码",
        _village,
        missing="missing",
    ),
    Column(
        "head_name",
        _("head of household"),
        "户主 户主姓名 姓名 农户姓名",
        _at_most(40),
        missing="missing",
        show=crypto.mask_name,
    ),
    Column(
        "id_number",
        _("ID number"),
        "身份证 身份证号 身份证号码 公民身份号码 户主身份证号 户主身份证号码 证件号码",
        _id_number,
        missing="missing",
        show=_show_number,
    ),
    Column(
        "phone",
        _("mobile number"),
        "手机 手机号 手机号码 电话 电话号码 联系电话 联系方式",
        _phone,
        missing="missing",
        show=_show_number,
    ),
    Column(
        "category",
        _("category"),
        "农户类别 农户类型 户类型 类别 农户属性 户属性",
        _choice(CATEGORIES),
        missing="missing",
    ),
    Column("area_mu", _("area (mu)"), "面积 林地面积", _area, missing="missing"),
    Column("tenure", _("tenure"), "权属 权属类型 林地权属 权属证明 权属依据", _choice(TENURES), missing="missing"),
    Column("tenure_number", _("certificate number"), "林权证号 林权证编号 证号 权证号 不动产权证号", _at_most(60)),
    Column(
        "consent_version",
        _("version of the consent text"),
        "同意书版本 承诺书版本 协议版本 知情同意书版本",
        _at_most(20),
        missing="no_consent",
    ),
    Column(
        "consent_signed_on",
        _("consent signed on"),
        "同意书签署日期 承诺书签署日期 签署日期 签字日期 签订日期",
        parse_date,
        missing="no_consent",
    ),
    Column("own_reference", _("the sender's own number"), "序号 自编号 户序号 原编号", _at_most(40)),
)
STAGED = {
    "public_id": "text", "village_code": "text", "head_name": "text", "head_name_shown": "text",
    "head_name_digest": "text", "id_number": "text", "id_number_digest": "text", "id_number_digests": "text[]",
    "id_number_shown": "text", "phone": "text", "phone_digest": "text", "category": "text", "area_mu": "numeric",
    "tenure": "text", "tenure_number": "text", "consent_version": "text", "consent_signed_on": "date",
    "own_reference": "text",
}  # fmt: skip


def staged(values: dict[str, Any], cells: dict[str, str]) -> tuple[Any, ...]:
    """A row's values in the order of STAGED."""
    name, id_number, phone = (values.get(column) for column in ("head_name", "id_number", "phone"))
    return (
        new_public_id(),
        values.get("village_code"),
        _sealed(name),
        crypto.mask_name(name) if name else None,
        _digest(name),
        _sealed(id_number),
        _digest(id_number),
        crypto.digests(id_number) if id_number else None,
        _show_number(id_number) if id_number else None,
        _sealed(phone),
        _digest(phone),
        values.get("category"),
        values.get("area_mu"),
        values.get("tenure"),
        values.get("tenure_number") or "",
        values.get("consent_version"),
        values.get("consent_signed_on"),
        values.get("own_reference"),
    )


def _sealed(value: str | None) -> str | None:
    return crypto.fernet().encrypt(value.encode()).decode() if value else None


def _digest(value: str | None) -> str | None:
    return crypto.digest(value) if value else None
