"""The monthly statement on paper: for each household of a village what was sold, paid and waits, two on a sheet."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from django.conf import settings
from django.utils import timezone
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.fonts import Weight
from carbonsink.glyphs import GlyphWriter
from carbonsink.templatetags.money import yuan
from carbonsink.templatetags.places import place
from payouts.earnings import Earnings, earnings_of
from payouts.messages_to_households import page_of
from payouts.papers.months import Month
from payouts.plain_words import on_paper
from trees.models import Division, Household

AT_ONCE = 50
MOST_SOLD, MOST_PAID = 2, 3
WIDTH, HEIGHT = landscape(A4)[0] / 2, landscape(A4)[1]
EDGE, CODE = 11 * mm, 36 * mm


@dataclass(frozen=True)
class Row:
    """A line of the statement: what it is on the left, how much on the right."""

    left: str
    right: str = ""
    size_pt: float = 13
    weight: Weight = "Regular"
    gap_pt: float = 6


def statements_pdf(village: Division, month: Month, file: IO[bytes]) -> int:
    """Writes the statements of all households of a village into a file, by their numbers; returns how many."""
    canvas = Canvas(file, pagesize=landscape(A4), pageCompression=1)
    canvas.setTitle(f"{place(village.name)} {month} 对账单")
    writer, written = GlyphWriter(canvas), 0
    for money in monthly(village, month):
        if written and written % 2 == 0:
            canvas.showPage()
        _draw(writer, money, village, month, (written % 2) * WIDTH)
        written += 1
    canvas.showPage()
    canvas.save()
    return written


def monthly(village: Division, month: Month) -> Iterator[Earnings]:
    """The month's earnings of every household of a village, by its number; fifty at a time, so that memory is flat."""
    households = Household.objects.filter(village=village).select_related("registered_by").order_by("ordinal")
    keys = list(households.values_list("pk", flat=True))
    for start in range(0, len(keys), AT_ONCE):
        some = list(households.filter(pk__in=keys[start : start + AT_ONCE]))
        yield from earnings_of(some, month.since, month.until)


def rows_of(money: Earnings, month: Month) -> list[Row]:
    """What a statement says, from top to bottom."""
    return [*_sold(money), *_paid(money), *_open(money, month), *_account(money)]


def _heading(text: str) -> Row:
    return Row(text, size_pt=14, weight="Bold", gap_pt=11)


def _sold(money: Earnings) -> Iterator[Row]:
    yield _heading("本月卖出")
    for one in money.sold[:MOST_SOLD]:
        yield Row(f"{one.vintage}年度 {one.trees}棵 {one.kg}千克", yuan(one.fen), 14)
    if more := money.sold[MOST_SOLD:]:
        yield Row(f"其他年度 {sum(one.trees for one in more)}棵", yuan(sum(one.fen for one in more)), 14)
    if not money.sold:
        yield Row("本月没有卖出。")


def _paid(money: Earnings) -> Iterator[Row]:
    yield _heading("本月到账")
    for payout in money.paid[:MOST_PAID]:
        day = timezone.localtime(payout.completed_at)
        yield Row(f"{day.month}月{day.day}日 尾号{payout.account.last_four}", yuan(payout.fen), 14)
    if more := money.paid[MOST_PAID:]:
        yield Row(f"另有{len(more)}笔", yuan(sum(payout.fen for payout in more)), 14)
    if len(money.paid) > 1:
        yield Row("合计", yuan(money.paid_fen), 16, "Bold")
    if not money.paid:
        yield Row("本月没有到账。")


def _open(money: Earnings, month: Month) -> Iterator[Row]:
    yield _heading("还没到账" if month.next > timezone.localdate() else "月底还没到账")
    if money.on_the_way_fen:
        yield Row("正在办", yuan(money.on_the_way_fen), 14)
    if money.waiting_fen > 0:
        yield Row("等着付给您", yuan(money.waiting_fen), 14)
    if money.why:
        yield Row(on_paper(money.why))
    if not money.on_the_way_fen and money.waiting_fen <= 0:
        yield Row("没有。")
    yield Row("历年一共到账", yuan(money.arrived_fen), 16, "Bold")


def _account(money: Earnings) -> Iterator[Row]:
    yield _heading("收款账户")
    if money.account:
        yield Row(f"{money.account.bank_name} 尾号{money.account.last_four}", size_pt=14)
    else:
        yield Row("还没有能用的账户，请找村登记员登记。", weight="Bold")


def _draw(writer: GlyphWriter, money: Earnings, village: Division, month: Month, x: float) -> None:
    """One statement on the half of a sheet that begins at x."""
    household, canvas = money.household, writer.canvas
    left, right = x + EDGE, x + WIDTH - EDGE
    _draw_cut(canvas, x)
    writer.line(left, HEIGHT - 19 * mm, "单株碳汇 对账单", 21, "Bold")
    writer.right(right, HEIGHT - 19 * mm, str(month), 15, "Bold")
    who = fonts.drawable(f"{place(village.name)} {household.ordinal:03d}号 {household.masked_name}")
    writer.fitting(left, HEIGHT - 28 * mm, who, right - left, 15, "Medium")
    canvas.setLineWidth(1)
    canvas.line(left, HEIGHT - 31 * mm, right, HEIGHT - 31 * mm)
    y = HEIGHT - 31 * mm
    for row in rows_of(money, month):
        y -= row.size_pt + row.gap_pt
        room = right - left - (writer.width(row.right, row.size_pt, "Bold") + 8 if row.right else 0)
        writer.fitting(left, y, fonts.drawable(row.left), room, row.size_pt, row.weight)
        if row.right:
            writer.right(right, y, row.right, row.size_pt, "Bold")
    _draw_foot(writer, household, left, right)


def _draw_cut(canvas: Canvas, x: float) -> None:
    if x:
        canvas.saveState()
        canvas.setLineWidth(0.4)
        canvas.setDash(3, 4)
        canvas.line(x, 0, x, HEIGHT)
        canvas.restoreState()


def _draw_foot(writer: GlyphWriter, household: Household, left: float, right: float) -> None:
    """The code that leads to the household's page, whom to ask, and what everybody should know."""
    bottom, text = 14 * mm, left + CODE + 3 * mm
    writer.canvas.line(left, bottom + CODE + 3 * mm, right, bottom + CODE + 3 * mm)
    qr.draw(writer.canvas, page_of(household), left - 4 * mm, bottom, CODE)
    today = timezone.localdate()
    lines: list[tuple[str, float, Weight]] = [
        ("扫码看明细（要密码）", 14, "Bold"),
        ("钱没到，扫码点“没到账”。", 13, "Regular"),
        (f"有疑问请问村登记员 {household.registered_by.name}", 13, "Regular"),
    ]
    if settings.HELP_PHONE:
        lines.append((f"或拨打 {settings.HELP_PHONE}", 13, "Regular"))
    lines.append(("卖的钱全归您，谁都不能收费。", 13, "Medium"))
    lines.append((f"打印日期：{today.year}年{today.month}月{today.day}日", 10, "Regular"))
    y = bottom + CODE
    for words, size, weight in lines:
        y -= size + 5
        writer.fitting(text, y, fonts.drawable(words), right - text, size, weight)
