"""The sheet for a village's notice board: the month's totals, and which households were paid, by their masked names.

How much each one got stands there only where the village wants it so (NOTICE_SHOWS_AMOUNTS); nor does how many trees
each sold, which with one price is the same.
"""

from typing import IO

from django.conf import settings
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
from purchases.links import page
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
    """The month's totals."""
    sums = month_totals(everybody)
    if not sums["trees"] and not sums["paid_fen"]:
        return [("登记农户", f"{sums['households']}户"), ("本月", "没有卖出，也没有到账")]
    paid = sum(1 for money in everybody if money.paid)
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
    return "待付" if money.on_the_way_fen or money.waiting_fen > 0 else "—"


def _note() -> str:
    hidden = "" if settings.NOTICE_SHOWS_AMOUNTS else "各户金额不公示，凭密码扫自家的码可以看。"
    return f"{hidden}卖碳汇的钱全部付到农户自己的账户，谁都不能收费。"


def _draw_head(writer: GlyphWriter, village: Division, month: Month, everybody: list[Earnings]) -> None:
    canvas, today = writer.canvas, timezone.localdate()
    names = "".join(place(division.name) for division in village.path[-3:])
    writer.fitting(EDGE, A4[1] - 28 * mm, "单株碳汇 收益公示", A4[0] - 2 * EDGE, 30, "Bold")
    writer.fitting(EDGE, A4[1] - 40 * mm, fonts.drawable(f"{names} {month}"), A4[0] - 2 * EDGE, 18, "Medium")
    qr.draw(canvas, page("area", village.code), A4[0] - EDGE - CODE, A4[1] - 90 * mm, CODE)
    writer.right(A4[0] - EDGE, A4[1] - 95 * mm, "扫码看本村的树", 12)
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
