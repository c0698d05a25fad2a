"""What stands on the drawings of a certificate, in Chinese and in English. The wording belongs to the document, so it
is not taken from the pages' translations."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Language = Literal["zh-hans", "en"]

WORDS: dict[str, dict[str, str]] = {
    "zh-hans": {
        "site": "单株碳汇",
        "title": "购碳证书",
        "sheet": "单株碳汇树",
        "holder": "兹证明",
        "anonymous": "匿名购碳者",
        "deed": "已购买 {trees} 棵树 {vintage} 年度的碳汇，购碳款全部归护树农户所有。",
        "deed_one": "已购买这棵树 {vintage} 年度的碳汇，购碳款全部归护树农户所有。",
        "trees": "棵树",
        "kg": "千克二氧化碳 *",
        "vintage": "年度",
        "tariff": "* 按计价标准，每棵树每年计 {kg} 千克二氧化碳，并非实测。",
        "serial": "证书编号",
        "issued": "签发日期",
        "scan": "扫码查验证书现状",
        "retired": "已为「{beneficiary}」注销，用于：{purpose}",
        "retired_on": "注销日期 {day}",
        "species": "树种",
        "place": "所在地",
        "others": "{first} 等 {count} 个村",
        "comma": "、",
        "and_more": "等",
        "no_glyph": "〓 代表本字体所缺的字：{codes}",
        "transferred": "已转让：部分或全部树木已属他人，请扫码查验",
        "replaced": "已更换：已由新证书取代，请扫码查验",
        "refunded": "已退款：本证书不再有效",
        "revoked": "已撤销：本证书不再有效",
        "number": "树木编号",
        "dbh": "胸径",
        "dbh_cm": "{cm} 厘米",
        "household": "护树农户",
        "holder_label": "购碳者",
    },
    "en": {
        "site": "Single-tree carbon sink",
        "title": "Carbon Sink Certificate",
        "sheet": "A carbon sink tree",
        "holder": "This certifies that",
        "anonymous": "an anonymous buyer",
        "deed": "has bought the carbon sink of {trees} trees for the year {vintage}. All of the price goes to the"
        " households that tend them.",
        "deed_one": "has bought the carbon sink of one tree for the year {vintage}. All of the price goes to the"
        " household that tends it.",
        "trees": "trees",
        "kg": "kg CO2 *",
        "vintage": "year",
        "tariff": "* Kilograms are a tariff: each tree counts as {kg} kg of CO2 a year. They are not a measurement.",
        "serial": "Serial number",
        "issued": "Issued on",
        "scan": "Scan to check how it stands",
        "retired": "Retired for {beneficiary}: {purpose}",
        "retired_on": "Retired on {day}",
        "species": "Species",
        "place": "Place",
        "others": "{first} and {others} more villages",
        "other": "{first} and 1 more village",
        "comma": ", ",
        "and_more": " and others",
        "no_glyph": "〓 stands for a character this font lacks: {codes}",
        "transferred": "Passed on: some or all of its trees are somebody else's now. Scan to check.",
        "replaced": "Replaced by newer certificates. Scan to check.",
        "refunded": "Refunded: this certificate is not valid any more.",
        "revoked": "Revoked: this certificate is not valid any more.",
        "number": "Number of the tree",
        "dbh": "Diameter at breast height",
        "dbh_cm": "{cm} cm",
        "household": "Tended by",
        "holder_label": "Bought by",
    },
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    language: Language

    def __call__(self, name: str, **values: object) -> str:
        """The text of that name, with its values put in."""
        text = WORDS[self.language][name]
        return text.format(**values) if values else text

    def day(self, day: date) -> str:
        """A date: 2026年11月21日, 21 November 2026 (whatever the process's locale)."""
        if self.language == "en":
            return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return f"{day.year}年{day.month}月{day.day}日"


def language_of(code: str) -> Language:
    """The drawings' language for a language code of the pages: Chinese unless it is English."""
    return "en" if code.lower().startswith("en") else "zh-hans"
