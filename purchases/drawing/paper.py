"""The certificate, and one tree's sheet, as a paper to print: PDF, A4."""

import functools
import io
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.fonts import Weight
from purchases.drawing.facts import Facts, facts_of
from purchases.drawing.layout import (
    CODE_LEFT,
    CODE_SIDE,
    CODE_TOP,
    DANGER,
    HEIGHT,
    WIDTH,
    Line,
    Rule,
    certificate_layout,
    fitted,
)
from purchases.drawing.ornament import Circle, Frame, Shape, ornament
from purchases.drawing.sheet import sheet_layout
from purchases.drawing.words import Language, Words
from purchases.models import Certificate
from trees.models import Tree

# The frame of the layout fills the width of the page; what A4 has more in height is left above and below.
SCALE = A4[0] / WIDTH
RISE = (A4[1] - HEIGHT * SCALE) / 2
BAND_TOP, BAND_HEIGHT = 700, 150
# The letters are large here: what small print needs would take twice as long to draw.
DPI = 450


def certificate_pdf(certificate: Certificate, language: Language) -> bytes:
    """A PDF of a certificate as it stands now; one that has ended bears a band that says so."""
    facts, words = facts_of(certificate, language), Words(language)
    return _page(facts, certificate_layout(facts, words), f"{words('title')} {facts.serial}")


def tree_pdf(certificate: Certificate, tree: Tree, language: Language) -> bytes:
    """A PDF sheet of one tree of a certificate."""
    facts, words = facts_of(certificate, language), Words(language)
    return _page(facts, sheet_layout(facts, words, tree), f"{facts.serial} {tree.number}")


def _page(facts: Facts, parts: list[Line | Rule], title: str) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setTitle(title)
    canvas.translate(0, RISE)
    canvas.scale(SCALE, SCALE)
    _place(canvas, "ornament", _ornament())
    for part in parts:
        if isinstance(part, Rule):
            canvas.setStrokeColor(HexColor(part.colour))
            canvas.setLineWidth(1.5)
            canvas.line(part.x, HEIGHT - part.y, part.x + part.width, HEIGHT - part.y)
        else:
            _write(canvas, part)
    _draw_code(canvas, facts.address)
    if facts.band:
        _draw_band(canvas, facts.band)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


@dataclass(frozen=True)
class _Stored:
    """Something a PDF holds once and shows by name; `data` is compressed already, since reportlab would write it in
    ASCII, which takes it longer than everything else."""

    entries: dict[str, Any]
    data: bytes


def _place(canvas: Canvas, name: str, stored: _Stored) -> None:
    """Shows what is stored, in the place and size that the canvas has now."""
    document: Any = canvas._doc
    if not document.hasForm(name):
        entries = {"Type": PDFName("XObject"), "Filter": PDFName("FlateDecode"), **stored.entries}
        document.addForm(name, PDFStream(dictionary=PDFDictionary(entries), content=stored.data))
    canvas._code.append(f"/{document.getXObjectName(name)} Do")
    canvas._formsinuse.append(name)


def _mask(image: Image.Image) -> _Stored:
    """A picture in black and white as a stencil: the canvas's colour goes through where it is 1."""
    entries = {
        "Subtype": PDFName("Image"),
        "Width": image.width,
        "Height": image.height,
        "ImageMask": "true",
        "BitsPerComponent": 1,
        "Decode": PDFArray([1, 0]),
    }
    return _Stored(entries, zlib.compress(image.tobytes(), 1))


def _write(canvas: Canvas, line: Line) -> None:
    """A line of text as a stencil; the same text is stored in the PDF once."""
    if not line.text:
        return
    stencil = _stencil(line.text, line.size, line.weight)
    shift = {"l": 0.0, "m": stencil.width / 2, "r": stencil.width}[line.anchor]
    canvas.saveState()
    canvas.setFillColor(HexColor(line.colour))
    canvas.translate(line.x - shift, HEIGHT - line.y - stencil.descent)
    canvas.scale(stencil.width, stencil.height)
    _place(canvas, f"text{abs(hash((line.text, line.size, line.weight)))}", stencil.stored)
    canvas.restoreState()


class _Stencil:
    """Text at the resolution of print; its size in units of the layout."""

    def __init__(self, text: str, size: int, weight: Weight) -> None:
        finer = DPI / 72 * SCALE
        font = fonts.font(round(size * finer), weight)
        ascent, descent = font.getmetrics()
        image = Image.new("1", (max(1, round(font.getlength(text))) + 4, ascent + descent), 0)
        draw = ImageDraw.Draw(image)
        draw.fontmode = "1"
        draw.text((0, ascent), text, fill=1, font=font, anchor="ls")
        self.width, self.height, self.descent = image.width / finer, image.height / finer, descent / finer
        self.stored = _mask(image)


@functools.lru_cache(maxsize=256)
def _stencil(text: str, size: int, weight: Weight) -> _Stencil:
    return _Stencil(text, size, weight)


@functools.lru_cache(maxsize=1)
def _ornament() -> _Stored:
    """The ornament, made once in a process; its rings may run beyond the frame."""
    canvas = Canvas(io.BytesIO(), pagesize=A4)
    begun = len(canvas._code)
    canvas.saveState()
    for part in ornament():
        colour = HexColor(part.colour)
        canvas.setStrokeColor(colour)
        canvas.setFillColor(colour)
        if isinstance(part, Shape):
            path = canvas.beginPath()
            path.moveTo(part.corners[0][0], HEIGHT - part.corners[0][1])
            for x, y in part.corners[1:]:
                path.lineTo(x, HEIGHT - y)
            path.close()
            canvas.drawPath(path, stroke=0, fill=1)
            continue
        canvas.setLineWidth(part.width)
        if isinstance(part, Circle):
            canvas.circle(part.x, HEIGHT - part.y, part.radius, stroke=1, fill=0)
        elif isinstance(part, Frame):
            canvas.rect(part.inset, part.inset, WIDTH - 2 * part.inset, HEIGHT - 2 * part.inset, stroke=1, fill=0)
    canvas.restoreState()
    entries = {"Subtype": PDFName("Form"), "BBox": PDFArray([-200, -200, WIDTH + 200, HEIGHT + 200])}
    return _Stored(entries, zlib.compress("\n".join(canvas._code[begun:]).encode()))


def _draw_code(canvas: Canvas, text: str) -> None:
    """The code that leads to the check, on white: a stencil of one dot a module."""
    rows = qr.matrix(text)
    side = len(rows)
    image = Image.frombytes("L", (side, side), bytes(255 if dark else 0 for row in rows for dark in row))
    edge = 2 * CODE_SIDE / (side + 4)
    bottom = HEIGHT - CODE_TOP - CODE_SIDE
    canvas.setFillGray(1)
    canvas.rect(CODE_LEFT, bottom, CODE_SIDE, CODE_SIDE, stroke=0, fill=1)
    canvas.saveState()
    canvas.setFillGray(0)
    canvas.translate(CODE_LEFT + edge, bottom + edge)
    canvas.scale(CODE_SIDE - 2 * edge, CODE_SIDE - 2 * edge)
    _place(canvas, "code", _mask(image.convert("1", dither=Image.Dither.NONE)))
    canvas.restoreState()


def _draw_band(canvas: Canvas, text: str) -> None:
    """A band across the page, so that nobody takes what has ended for what holds."""
    canvas.setFillColor(HexColor(DANGER))
    canvas.rect(0, HEIGHT - BAND_TOP - BAND_HEIGHT, WIDTH, BAND_HEIGHT, stroke=0, fill=1)
    size, lines = fitted(text, (46, 42, 38, 34), 2, WIDTH - 120, "Bold")
    y = BAND_TOP + (BAND_HEIGHT - len(lines) * size * 1.3) / 2 + size * 1.02
    for line in lines:
        _write(canvas, Line(line, WIDTH / 2, y, size, "#ffffff", "Bold"))
        y += size * 1.3
