"""What a campaign is shared by: a poster of A4 with the QR code of its page, and a picture for chats."""

import functools
import io

from django.conf import settings
from django.template.defaultfilters import date as as_day
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from PIL import Image, ImageDraw
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.templatetags.money import yuan_whole
from purchases.campaigns import Progress
from purchases.models import Campaign, Tariff

PAPER, FOREST, PERSIMMON, SOFT, LEAF, LINE = "#faf6ee", "#1e4d38", "#c2410c", "#55605a", "#3f8058", "#e7e0d1"
SHARE_PX = (1200, 630)


def address(campaign: Campaign) -> str:
    """The public address of a campaign's page."""
    return settings.PUBLIC_BASE_URL + reverse("purchases:campaign", args=[campaign.slug])


def wrapped(text: str, width_pt: float, size_pt: float, most: int, weight: fonts.Weight = "Regular") -> list[str]:
    """The text in at most `most` lines no wider than `width_pt`: broken at spaces, or within a word that is too long,
    as Chinese is. What does not find room ends in “…”."""
    lines: list[str] = []
    line = ""
    for character in text:
        if character == "\n" or fonts.width_pt(line + character, size_pt, weight) > width_pt:
            head, space, rest = line.rpartition(" ")
            if character in fonts.CLOSING and not line[-1:].isascii():  # Never at the beginning of a line.
                lines.append(line[:-1])
                line = line[-1] + character
                continue
            keep = character not in " \n" and space and line.isascii()
            lines.append(head if keep else line)
            line = (rest if keep else "") + ("" if character in " \n" else character)
        else:
            line += character
        if len(lines) > most:
            break
    lines.append(line)
    lines = [part.strip() for part in lines]
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    while last and fonts.width_pt(f"{last}…", size_pt, weight) > width_pt:
        last = last[:-1]
    return [*lines[: most - 1], f"{last}…"]


def poster_pdf(campaign: Campaign, tariff: Tariff | None) -> bytes:
    """The poster as PDF: title, owner, what it is about, target and days, and a large QR code."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setTitle(campaign.title)
    width, height = A4
    left, inner = 20 * mm, width - 40 * mm
    writer = fonts.Writer(canvas)
    y = height - 30 * mm
    for size, weight, most, text, gap in _poster_texts(campaign):
        for line in wrapped(text, inner, size, most, weight):
            writer.line(left, y, line, size, weight)
            y -= size * 1.4
        y -= gap
    code = ImageReader(io.BytesIO(qr.png(address(campaign))))
    side = 104 * mm
    canvas.drawImage(code, (width - side) / 2, 58 * mm, side, side)
    _centred(writer, width, 56 * mm, _("Scan, choose how many trees, pay: that is all."), 14, "Medium")
    canvas.setFont("Helvetica", 10)
    canvas.setFillColor(HexColor(SOFT))
    canvas.drawCentredString(width / 2, 49 * mm, address(campaign))
    canvas.setFillColor(HexColor(PERSIMMON))
    canvas.rect(0, height - 9 * mm, width, 9 * mm, stroke=0, fill=1)
    canvas.setStrokeColor(HexColor(LEAF))
    canvas.setLineWidth(1)
    canvas.line(left, 40 * mm, width - left, 40 * mm)
    for place, text in enumerate(_promises(tariff)):
        size, weight = (12.0, "Medium") if place == 0 else (9.5, "Regular")
        _centred(writer, width, (32 - 7 * place) * mm, text, size, weight)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _poster_texts(campaign: Campaign) -> list[tuple[float, fonts.Weight, int, str, float]]:
    """What stands above the code: size (pt), weight, most lines, text, and the space below (pt)."""
    trees = ngettext("Our target: %(n)s tree", "Our target: %(n)s trees", campaign.target_trees)
    days = _("%(first)s to %(last)s") % {
        "first": as_day(campaign.begins_on, "DATE_FORMAT"),
        "last": as_day(campaign.ends_on, "DATE_FORMAT"),
    }
    return [
        (36, "Bold", 2, campaign.title, 4),
        (20, "Medium", 1, campaign.owner, 14),
        (14, "Regular", 6, campaign.story, 12),
        (16, "Bold", 1, f"{trees % {'n': f'{campaign.target_trees:,}'}} · {days}", 0),
    ]


def _promises(tariff: Tariff | None) -> list[str]:
    lines = [_("The whole price goes to the household's own bank account.")]
    if tariff is not None:
        price = _("%(price)s: one tree, one year, counts as %(kg)s kg CO2 by the tariff")  # The font has no ₂.
        lines.insert(0, price % {"price": yuan_whole(tariff.price_fen), "kg": tariff.sink_kg})
    return [*lines, _("The kilograms are a tariff for every tree alike, not a measurement.")]


def _centred(writer: fonts.Writer, width: float, y: float, text: str, size: float, weight: fonts.Weight) -> None:
    wide = fonts.width_pt(text, size, weight)
    if wide > width - 30 * mm:
        size *= (width - 30 * mm) / wide
        wide = width - 30 * mm
    writer.line((width - wide) / 2, y, text, size, weight)


def share_png(campaign: Campaign, progress: Progress) -> bytes:
    """The picture for chats: title, owner and the bar, as PNG of 1200 × 630 pixels."""
    image = Image.new("RGB", SHARE_PX, PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SHARE_PX[0], 24), fill=PERSIMMON)
    y = 90
    # A point at 72 dpi is a pixel.
    for line in wrapped(campaign.title, 1060 * 72 / fonts.DPI, 72 * 72 / fonts.DPI, 2, "Bold"):
        draw.text((70, y), line, FOREST, _font(72, "Bold"))
        y += 100
    draw.text((70, y + 10), campaign.owner[:30], SOFT, _font(38, "Medium"))
    draw.rounded_rectangle((70, 430, 1130, 466), 18, fill=LINE)
    reached = min(100, progress.percent) / 100
    if progress.trees:
        draw.rounded_rectangle((70, 430, 70 + max(36, round(1060 * reached)), 466), 18, fill=LEAF)
    counted = _("%(trees)s of %(target)s trees") % {
        "trees": f"{progress.trees:,}",
        "target": f"{progress.target:,}",
    }
    draw.text((70, 500), counted, FOREST, _font(46, "Bold"))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


_font = functools.partial(fonts.font)
