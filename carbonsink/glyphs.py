"""Text for PDFs of hundreds of pages: each character is stored once, so that the file and the memory it takes grow with
the characters there are, and hardly with the pages."""

from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts
from carbonsink.fonts import Weight

# One picture of a character serves all sizes: 200 pixels are 600 dpi at 24 pt, and more where letters are smaller.
EM_PX = 200


class GlyphWriter:
    """Writes lines of text on a reportlab canvas, character by character. ValueError for one that the font lacks."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        # Of a character and a weight: the name of its form ("" for a space), and how far it advances, in ems.
        self.known: dict[tuple[str, Weight], tuple[str, float]] = {}

    def line(self, x: float, y: float, text: str, size_pt: float, weight: Weight = "Regular") -> None:
        """A line of text, its baseline beginning at x, y (points)."""
        canvas = self.canvas
        for char in text:
            name, advance = self._glyph(char, weight)
            if name:
                canvas.saveState()
                canvas.transform(size_pt, 0, 0, size_pt, x, y)
                canvas.doForm(name)
                canvas.restoreState()
            x += advance * size_pt

    def width(self, text: str, size_pt: float, weight: Weight = "Regular") -> float:
        """How wide the text is, in points."""
        return size_pt * sum(self._glyph(char, weight)[1] for char in text)

    def fitting(self, x: float, y: float, text: str, width: float, size_pt: float, weight: Weight = "Regular") -> None:
        """A line that is made smaller where it would be wider than `width` (points)."""
        wide = self.width(text, size_pt, weight)
        self.line(x, y, text, size_pt if wide <= width else size_pt * width / wide, weight)

    def right(self, x: float, y: float, text: str, size_pt: float, weight: Weight = "Regular") -> None:
        """A line that ends at x."""
        self.line(x - self.width(text, size_pt, weight), y, text, size_pt, weight)

    def _glyph(self, char: str, weight: Weight) -> tuple[str, float]:
        key = (char, weight)
        if key not in self.known:
            if fonts.missing(char):
                raise ValueError(f"The font has no glyph for U+{ord(char):04X}.")
            self.known[key] = self._store(f"glyph{len(self.known)}", *key)
        return self.known[key]

    def _store(self, name: str, char: str, weight: Weight) -> tuple[str, float]:
        font = fonts.font(EM_PX, weight)
        advance = font.getlength(char) / EM_PX
        if char.isspace():
            return "", advance
        mask, (left, top) = font.getmask2(char, "L", anchor="ls")
        wide, high = mask.size
        # Black that is seen through where the character is not, or it would cut off its neighbours.
        ink = Image.new("L", mask.size, 0)
        ink.im.paste(255, (0, 0, wide, high), mask)
        drawn = ImageReader(Image.merge("LA", (Image.new("L", mask.size, 0), ink)))
        self.canvas.beginForm(name, -1, -1, 2, 2)
        self.canvas.drawImage(drawn, left / EM_PX, -(top + high) / EM_PX, wide / EM_PX, high / EM_PX, mask="auto")
        self.canvas.endForm()
        return name, advance
