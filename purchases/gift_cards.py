"""Cards with a gift's QR code and its code to type: eight on a sheet of A4 to be cut, or one alone."""

import io
from collections.abc import Sequence

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4, A5, landscape
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from purchases.gifts import grouped
from purchases.links import page
from purchases.models import Gift

COLUMNS, ROWS = 2, 4
CARD = (95 * mm, 68 * mm)
# A sheet's letters are pictures: more cards at once would keep somebody waiting.
MOST = 200
FOREST, LEAF, PERSIMMON, PAPER = "#1e4d38", "#3f8058", "#c2410c", "#faf6ee"


def cards_pdf(gifts: Sequence[Gift]) -> bytes:
    """Sheets of A4 with the cards of these gifts (at most 200), in their order."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setTitle(_("Gift cards"))
    writer = fonts.Writer(canvas)
    left, top = (A4[0] - COLUMNS * CARD[0]) / 2, (A4[1] + ROWS * CARD[1]) / 2
    sheet = COLUMNS * ROWS
    for start in range(0, len(gifts), sheet):
        for index, gift in enumerate(gifts[start : start + sheet]):
            row, column = divmod(index, COLUMNS)
            _draw_card(writer, gift, left + column * CARD[0], top - (row + 1) * CARD[1], 1)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def card_pdf(gift: Gift) -> bytes:
    """One card on a sheet of A5."""
    buffer = io.BytesIO()
    width, height = landscape(A5)
    canvas = Canvas(buffer, pagesize=(width, height))
    canvas.setTitle(_("Gift card"))
    canvas.setFillColor(HexColor(PAPER))
    canvas.rect(0, 0, width, height, stroke=0, fill=1)
    scale = 1.95
    x, y = (width - scale * CARD[0]) / 2, (height - scale * CARD[1]) / 2
    _draw_card(fonts.Writer(canvas), gift, x, y, scale)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _draw_card(writer: fonts.Writer, gift: Gift, x: float, y: float, scale: float) -> None:
    """One card: the words on the left, the code on the right, a line of hills below."""
    width, height = CARD[0] * scale, CARD[1] * scale
    edge, code = 6 * mm * scale, 32 * mm * scale
    canvas = writer.canvas
    canvas.setFillColor(HexColor("#ffffff"))
    canvas.setStrokeGray(0.75)
    canvas.setLineWidth(0.25)
    canvas.rect(x, y, width, height, stroke=1, fill=1)
    _draw_hills(canvas, x, y, width, height * 0.2)
    qr.draw(canvas, page("gift", gift.code), x + width - code - edge / 2, y + height - code - edge / 2, code)
    wide = width - code - 2 * edge
    line = y + height - edge
    for text, size, weight, gap in _words(gift):
        line -= size * scale
        writer.fitting(x + edge, line, text, wide, size * scale, weight)
        line -= (0.45 * size + gap) * scale  # The font's own line, whose ground is white.
    canvas.setFillGray(0)
    canvas.setFont("Courier-Bold", 11.5 * scale)
    canvas.drawRightString(x + width - edge, y + height * 0.2 + 12 * scale, grouped(gift.code))
    writer.fitting(
        x + edge, y + height * 0.2 + 3.5 * scale, _("Open it at %(address)s") % {"address": page("gift-find")},
        width - 2 * edge, 7 * scale,
    )  # fmt: skip


def _words(gift: Gift) -> list[tuple[str, float, fonts.Weight, float]]:
    """The lines of a card: text, size in points, weight, and the gap below."""
    trees = ngettext("%(n)s tree for a year", "%(n)s trees for a year", gift.trees) % {"n": gift.trees}
    found: list[tuple[str, float, fonts.Weight, float]] = []
    if gift.recipient:
        found.append((_("For %(name)s") % {"name": gift.recipient}, 11, "Bold", 1))
    found.append((trees, 15, "Bold", 0))
    found.append((_("the carbon sink of a mountain village in Guizhou"), 8, "Regular", 3))
    found += [(part, 9, "Regular", 0) for part in _wrapped(gift.message, 9, CARD[0] - 32 * mm - 12 * mm)[:4]]
    if gift.giver:
        found.append((_("from %(giver)s") % {"giver": gift.giver}, 9, "Medium", 0))
    if gift.opens_on:
        found.append((_("opens on %(day)s") % {"day": date_format(gift.opens_on)}, 8, "Regular", 0))
    return found


def _wrapped(text: str, size_pt: float, width: float) -> list[str]:
    """The text in lines that are not wider than `width`; Chinese may end a line anywhere, words stay whole."""
    lines = [""]
    for paragraph in text.splitlines():
        for word in _pieces(paragraph):
            if lines[-1] and fonts.width_pt(lines[-1] + word, size_pt) > width:
                lines.append("")
            lines[-1] += word.lstrip() if not lines[-1] else word
        lines.append("")
    return [line for line in lines if line.strip()]


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for character in text:
        before = pieces[-1] if pieces else " "
        goes_on = character.isascii() and character != " " and before[-1].isascii()
        if pieces and (goes_on or (character in fonts.CLOSING and len(before) < 4)):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _draw_hills(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """Two ranges of hills and some trees, as on the site's front page."""
    canvas.saveState()
    frame = canvas.beginPath()
    frame.rect(x, y, width, height * 1.6)
    canvas.clipPath(frame, stroke=0, fill=0)
    for colour, high, shift in (("#bcd8c6", 1.0, 0.0), (LEAF, 0.62, 0.35)):
        hills = canvas.beginPath()
        hills.moveTo(x, y)
        hills.lineTo(x, y + height * high * 0.5)
        step = width / 2
        for start in (x - shift * step, x + (1 - shift) * step, x + (2 - shift) * step):
            hills.curveTo(
                start + step * 0.3, y + height * high * 1.15, start + step * 0.6, y + height * high * 1.15,
                start + step, y + height * high * 0.5,
            )  # fmt: skip
        hills.lineTo(x + width, y)
        hills.close()
        canvas.setFillColor(HexColor(colour))
        canvas.drawPath(hills, stroke=0, fill=1)
    canvas.setFillColor(HexColor(FOREST))
    for place, size in ((0.08, 0.5), (0.14, 0.7), (0.2, 0.45), (0.86, 0.6), (0.92, 0.45)):
        tree = canvas.beginPath()
        middle, tall = x + place * width, height * size
        tree.moveTo(middle - tall * 0.28, y + height * 0.1)
        tree.lineTo(middle, y + height * 0.1 + tall)
        tree.lineTo(middle + tall * 0.28, y + height * 0.1)
        tree.close()
        canvas.drawPath(tree, stroke=0, fill=1)
    canvas.restoreState()
