"""Chinese text for PDFs and pictures, in Noto Sans CJK SC, which comes with the wheel `manimgx-fonts-cjk`.

reportlab cannot embed that font (CFF outlines in a collection), so Pillow draws the text, at the resolution of print.
"""

import functools
from pathlib import Path
from typing import Literal

import manimgx_fonts_cjk
from PIL import Image, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

FILE = Path(manimgx_fonts_cjk.__file__).with_name("NotoSansCJK-VF.otf.ttc")
SIMPLIFIED = 2  # Of the collection: JP, KR, SC, TC, HK.
DPI = 600
Weight = Literal["Regular", "Medium", "Bold"]
_NO_CHARACTER = "\U0010ffff"
# 〓 (geta) is what Chinese and Japanese printers set where they lack a character.
GETA = "〓"
# What must not begin a line of Chinese.
CLOSING = "，。、：；！？」』）》〉”’"


@functools.lru_cache(maxsize=64)
def font(size_px: int, weight: Weight = "Regular") -> ImageFont.FreeTypeFont:
    """The font at so many pixels per em."""
    loaded = ImageFont.truetype(FILE, size_px, index=SIMPLIFIED, layout_engine=ImageFont.Layout.BASIC)
    loaded.set_variation_by_name(weight)
    return loaded


def missing(text: str) -> str:
    """The characters that the font has no glyph for: each would be drawn as an empty box. The collection's other fonts
    have the same characters, in other shapes."""
    return "".join(char for char in dict.fromkeys(text) if not char.isspace() and not _has_glyph(char))


@functools.lru_cache(maxsize=4096)
def _has_glyph(char: str) -> bool:
    drawn = font(64)
    return char.isascii() or bytes(drawn.getmask(char)) != bytes(drawn.getmask(_NO_CHARACTER))


def drawable(text: str) -> str:
    """The text with 〓 for each character that the font lacks, so that nobody sees an empty box."""
    lacking = missing(text)
    return text.translate({ord(char): GETA for char in lacking}) if lacking else text


def picture(text: str, size_pt: float, weight: Weight = "Regular") -> Image.Image:
    """The text in black on white, in grey steps, at 600 dpi: as high as the font's line, as wide as the text."""
    drawn = font(round(size_pt * DPI / 72), weight)
    ascent, descent = drawn.getmetrics()
    mask, (left, top) = drawn.getmask2(text, "L", anchor="ls")
    # Latin letters may reach beyond what they advance.
    image = Image.new("L", (max(1, round(drawn.getlength(text)), left + mask.size[0]), ascent + descent), 0)
    image.im.paste(255, (left, ascent + top, left + mask.size[0], ascent + top + mask.size[1]), mask)
    return image.point(lambda value: 255 - value)


def width_pt(text: str, size_pt: float, weight: Weight = "Regular") -> float:
    """How wide the text is, in points."""
    return font(round(size_pt * DPI / 72), weight).getlength(text) * 72 / DPI


class Writer:
    """Writes lines of text on a reportlab canvas; what is written often is stored in the PDF once."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.known: dict[tuple[str, float, Weight], tuple[str, float]] = {}

    def line(self, x: float, y: float, text: str, size_pt: float, weight: Weight = "Regular") -> None:
        """A line of text, its baseline beginning at x, y (points)."""
        key = (text, size_pt, weight)
        if key not in self.known:
            self.known[key] = self._store(f"text{len(self.known)}", *key)
        name, descent = self.known[key]
        self.canvas.saveState()
        self.canvas.translate(x, y - descent)
        self.canvas.doForm(name)
        self.canvas.restoreState()

    def fitting(self, x: float, y: float, text: str, width: float, size_pt: float, weight: Weight = "Regular") -> None:
        """A line that is made smaller where it would be wider than `width` (points)."""
        wide = width_pt(text, size_pt, weight)
        self.line(x, y, text, size_pt if wide <= width else round(size_pt * width / wide, 1), weight)

    def _store(self, name: str, text: str, size_pt: float, weight: Weight) -> tuple[str, float]:
        drawn = picture(text, size_pt, weight)
        self.canvas.beginForm(name)
        self.canvas.drawImage(ImageReader(drawn), 0, 0, drawn.width * 72 / DPI, drawn.height * 72 / DPI)
        self.canvas.endForm()
        _ascent, descent = font(round(size_pt * DPI / 72), weight).getmetrics()
        return name, descent * 72 / DPI
