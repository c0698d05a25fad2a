"""The slip with a household's PIN: printed once, folded in the middle and sealed, for the household alone."""

import io

from reportlab.lib.pagesizes import A5, landscape
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.glyphs import GlyphWriter
from carbonsink.templatetags.places import place
from payouts.messages_to_households import page_of
from trees.models import Household


def slip_pdf(household: Household, pin: str) -> bytes:
    """The slip on one sheet of A5: whose it is above the fold, the PIN and the code below."""
    buffer, (width, height) = io.BytesIO(), landscape(A5)
    canvas = Canvas(buffer, pagesize=(width, height))
    canvas.setTitle(f"密码函 {household}")
    writer, left, code = GlyphWriter(canvas), 15 * mm, 46 * mm
    who = fonts.drawable(f"{place(household.village.name)} {household.ordinal:03d}号 {household.masked_name}")
    writer.line(left, height - 25 * mm, "单株碳汇 密码函", 24, "Bold")
    writer.fitting(left, height - 40 * mm, who, width - 2 * left, 20, "Medium")
    writer.line(left, height - 54 * mm, "请本人拆开。拆开过的，请找村登记员换新密码。", 14)
    canvas.setDash(3, 4)
    canvas.line(0, height / 2, width, height / 2)
    writer.line(left, height / 2 - 24 * mm, "密码", 16)
    writer.line(left, height / 2 - 40 * mm, f"{pin[:3]} {pin[3:]}", 40, "Bold")
    writer.line(left, height / 2 - 53 * mm, "扫码，输入密码，就能看收款。", 14)
    writer.line(left, height / 2 - 62 * mm, "不要告诉别人，也不要写在卡上。", 14, "Medium")
    qr.draw(canvas, page_of(household), width - left - code, height / 2 - 14 * mm - code, code)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()
