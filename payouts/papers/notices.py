"""The sheet for a village's notice board: the month's totals, and which households were paid, by their masked names.

How much each one got stands there only where the village wants it so (NOTICE_SHOWS_AMOUNTS). Where it does not, the
sheets of all months together do not tell a household's amount, not even to one who knows their own:

- One sum alone is told, what arrived; of the rest, how many households. Two would tell a third: what was sold less what
  arrived is what the one household still waits for. Trees and kilograms, at one price, are sums of money.
- It is told of NOTICE_LEAST_HOUSEHOLDS households at least: three, the least that the threshold rule of official
  statistics takes (Glossary of Statistical Disclosure Control, UNECE/Eurostat 2005; some agencies take five).
- The code leads to the money of all villages, not to the market's page of this one, which counts each household's sold
  trees.

It does not help against households that put together what they know, where a sum is the least that so many can have
got, nor against two sheets of the same month between which one household was paid.
"""

from typing import IO

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.glyphs import GlyphWriter
from carbonsink.templatetags.money import yuan
from carbonsink.templatetags.places import place
from payouts.earnings import Earnings, month_totals
from payouts.papers.months import Month
from payouts.papers.statements import monthly
from purchases.links import absolute, page
from trees.models import Division

EDGE, CODE, STEP = 18 * mm, 40 * mm, 9 * mm
COLUMN = (A4[0] - 2 * EDGE) / 2
BOTTOM = 20 * mm
PLAIN, FIRST = 24, 15  # Lines of a column on a sheet, and on the first one below its head.


def notice_pdf(village: Division, month: Month, file: IO[bytes]) -> int:
    """Writes the notice board's sheets of a village into a file; returns how many."""
    canvas = Canvas(file, pagesize=A4, pageCompression=1)
    canvas.setTitle(f"{place(village.name)} {month} 公示")
    writer, everybody = GlyphWriter(canvas), list(monthly(village, month))
    _draw_head(writer, village, month, everybody)
    shown, sheets = everybody, 1
    top, rows = A4[1] - 128 * mm, FIRST
    while True:
        for index, money in enumerate(shown[: 2 * rows]):
            column, row = divmod(index, rows)
            _draw_household(writer, money, EDGE + column * COLUMN, top - row * STEP)
        shown = shown[2 * rows :]
        writer.fitting(EDGE, 11 * mm, _note(), A4[0] - 2 * EDGE, 10.5)
        canvas.showPage()
        if not shown:
            break
        sheets, top, rows = sheets + 1, A4[1] - 38 * mm, PLAIN
        writer.line(EDGE, A4[1] - 24 * mm, f"{place(village.name)} {month} 公示（第{sheets}页）", 16, "Bold")
    canvas.save()
    return sheets


def facts_of(everybody: list[Earnings]) -> list[tuple[str, str]]:
    """The month's totals: of money, trees and kilograms as far as they tell nobody's amount."""
    sums = month_totals(everybody)
    if not sums["trees"] and not sums["paid_fen"]:
        return [("登记农户", f"{sums['households']}户"), ("本月", "没有卖出，也没有到账")]
    paid = sum(1 for money in everybody if money.paid)
    if not settings.NOTICE_SHOWS_AMOUNTS:
        sold, waiting = sum(1 for one in everybody if one.sold), sum(1 for one in everybody if _waits(one))
        return [
            ("登记农户", f"{sums['households']}户"),
            ("本月卖出", f"{sold}户"),
            ("本月到账", _sum_of(paid, sums["paid_fen"])),
            ("还没到账", f"{waiting}户"),
        ]
    return [
        ("登记农户", f"{sums['households']}户"),
        ("本月卖出", f"{sums['trees']:,}棵，{sums['kg']:,}千克"),
        ("卖得", yuan(sums["sold_fen"])),
        ("本月到账", f"{yuan(sums['paid_fen'])}（{paid}户）"),
        ("还没到账", yuan(sums["open_fen"])),
    ]


def said_of(money: Earnings) -> str:
    """What the board says of a household."""
    if money.paid:
        return yuan(money.paid_fen) if settings.NOTICE_SHOWS_AMOUNTS else "已到账"
    return "待付" if _waits(money) else "—"


def _waits(money: Earnings) -> bool:
    return money.on_the_way_fen > 0 or money.waiting_fen > 0


def _sum_of(households: int, fen: int) -> str:
    """What so many households got together, unless they are too few for a sum to hide each one's part."""
    if not households:
        return "0户"
    if households < settings.NOTICE_LEAST_HOUSEHOLDS:
        return f"{households}户，户数少，不公示金额"
    return f"{yuan(fen)}（{households}户）"


def _note() -> str:
    hidden = "" if settings.NOTICE_SHOWS_AMOUNTS else "各户金额不公示，凭密码扫自家的码可以看。"
    return f"{hidden}卖碳汇的钱全部付到农户自己的账户，谁都不能收费。"


def _draw_head(writer: GlyphWriter, village: Division, month: Month, everybody: list[Earnings]) -> None:
    canvas, today = writer.canvas, timezone.localdate()
    names = "".join(place(division.name) for division in village.path[-3:])
    writer.fitting(EDGE, A4[1] - 28 * mm, "单株碳汇 收益公示", A4[0] - 2 * EDGE, 30, "Bold")
    writer.fitting(EDGE, A4[1] - 40 * mm, fonts.drawable(f"{names} {month}"), A4[0] - 2 * EDGE, 18, "Medium")
    address, seen = absolute(reverse("payouts:money")), "扫码看钱在哪里"
    if settings.NOTICE_SHOWS_AMOUNTS:
        address, seen = page("area", village.code), "扫码看本村的树"
    qr.draw(canvas, address, A4[0] - EDGE - CODE, A4[1] - 90 * mm, CODE)
    writer.right(A4[0] - EDGE, A4[1] - 95 * mm, seen, 12)
    y = A4[1] - 52 * mm
    for name, value in facts_of(everybody):
        writer.line(EDGE, y, name, 16)
        writer.fitting(EDGE + 30 * mm, y, value, A4[0] - 2 * EDGE - CODE - 34 * mm, 16, "Bold")
        y -= 9.5 * mm
    writer.line(EDGE, A4[1] - 106 * mm, f"公示日期：{today.year}年{today.month}月{today.day}日", 13)
    canvas.setLineWidth(1)
    canvas.line(EDGE, A4[1] - 111 * mm, A4[0] - EDGE, A4[1] - 111 * mm)


def _draw_household(writer: GlyphWriter, money: Earnings, x: float, y: float) -> None:
    name = fonts.drawable(f"{money.household.ordinal:03d} {money.household.masked_name}")
    writer.fitting(x, y, name, COLUMN * 0.5, 15)
    writer.right(x + COLUMN - 8 * mm, y, said_of(money), 15, "Medium")
    writer.canvas.setLineWidth(0.25)
    writer.canvas.line(x, y - 2.5 * mm, x + COLUMN - 8 * mm, y - 2.5 * mm)
