"""The certificate as a picture to share: PNG, 1080 × 1440."""

import functools
import io

from PIL import Image, ImageDraw

from carbonsink import fonts, qr
from purchases.drawing.facts import facts_of
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
from purchases.drawing.ornament import PAPER, Circle, Frame, Shape, ornament
from purchases.drawing.words import Language, Words
from purchases.models import Certificate

FINER = 3  # The ornament is drawn so many times larger and shrunk, since Pillow's shapes have hard edges.
BAND_TOP, BAND_HEIGHT = 700, 150


def certificate_png(certificate: Certificate, language: Language) -> bytes:
    """A PNG of a certificate as it stands now; one that has ended bears a band that says so."""
    facts, words = facts_of(certificate, language), Words(language)
    image = _background().copy()
    draw = ImageDraw.Draw(image)
    for part in certificate_layout(facts, words):
        if isinstance(part, Rule):
            draw.line((part.x, part.y, part.x + part.width, part.y), fill=part.colour, width=2)
        else:
            _write(draw, part)
    _paste_code(image, facts.address)
    if facts.band:
        _draw_band(image, facts.band)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()


def _write(draw: ImageDraw.ImageDraw, line: Line) -> None:
    font = fonts.font(line.size, line.weight)
    draw.text((line.x, line.y), line.text, fill=line.colour, font=font, anchor=f"{line.anchor}s")


@functools.lru_cache(maxsize=1)
def _background() -> Image.Image:
    """Paper and ornament, drawn once in a process."""
    large = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), PAPER)
    draw = ImageDraw.Draw(large)
    for part in ornament():
        if isinstance(part, Circle):
            reach = part.radius * FINER
            x, y = part.x * FINER, part.y * FINER
            draw.ellipse(
                (x - reach, y - reach, x + reach, y + reach), outline=part.colour, width=round(part.width * FINER)
            )
        elif isinstance(part, Frame):
            near, right, low = part.inset * FINER, (WIDTH - part.inset) * FINER, (HEIGHT - part.inset) * FINER
            draw.rectangle((near, near, right, low), outline=part.colour, width=round(part.width * FINER))
        elif isinstance(part, Shape):
            draw.polygon([(x * FINER, y * FINER) for x, y in part.corners], fill=part.colour)
    return large.resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def _paste_code(image: Image.Image, text: str) -> None:
    """The code that leads to the check, on white, with whole pixels for its modules."""
    rows = qr.matrix(text)
    side = len(rows)
    bits = bytes(0 if dark else 255 for row in rows for dark in row)
    scale = CODE_SIDE // (side + 4)
    code = Image.frombytes("L", (side, side), bits).resize((side * scale, side * scale), Image.Resampling.NEAREST)
    white = Image.new("RGB", (CODE_SIDE, CODE_SIDE), "white")
    white.paste(code, ((CODE_SIDE - code.width) // 2, (CODE_SIDE - code.height) // 2))
    image.paste(white, (CODE_LEFT, CODE_TOP))


def _draw_band(image: Image.Image, text: str) -> None:
    """A band across the picture, so that nobody takes what has ended for what holds."""
    box = (0, BAND_TOP, WIDTH, BAND_TOP + BAND_HEIGHT)
    image.paste(Image.blend(image.crop(box), Image.new("RGB", (WIDTH, BAND_HEIGHT), DANGER), 0.93), box)
    draw = ImageDraw.Draw(image)
    size, lines = fitted(text, (46, 42, 38, 34), 2, WIDTH - 120, "Bold")
    y = BAND_TOP + (BAND_HEIGHT - len(lines) * size * 1.3) / 2 + size * 1.02
    for line in lines:
        _write(draw, Line(line, WIDTH / 2, y, size, "#ffffff", "Bold"))
        y += size * 1.3
