"""QR codes: as PNG pictures, and drawn into PDFs."""

import io

import qrcode
from django.http import HttpResponse
from qrcode.constants import ERROR_CORRECT_M
from reportlab.pdfgen.canvas import Canvas

QUIET_MODULES = 4


def png(text: str) -> bytes:
    """A QR code as PNG. The mask is fixed: trying all eight costs three times as much and reads no better."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, box_size=8, border=4, mask_pattern=3)
    code.add_data(text)
    code.make()
    buffer = io.BytesIO()
    code.make_image().save(buffer)
    return buffer.getvalue()


def matrix(text: str) -> list[list[bool]]:
    """A QR code as rows of modules, True where dark, without its quiet zone."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=0, mask_pattern=3)
    code.add_data(text)
    code.make()
    return [[bool(module) for module in row] for row in code.get_matrix()]


def response(text: str) -> HttpResponse:
    """A QR code to be shown on a page."""
    return HttpResponse(png(text), content_type="image/png", headers={"Cache-Control": "private, max-age=300"})


def draw(canvas: Canvas, text: str, x: float, y: float, side: float) -> None:
    """A QR code of rectangles, so that a printer makes sharp edges of it, quiet zone and all `side` points wide."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=0, mask_pattern=3)
    code.add_data(text, optimize=8)  # Numbers go in as digits: fewer, larger modules.
    code.make()
    rows = code.get_matrix()
    module = side / (len(rows) + 2 * QUIET_MODULES)
    path = canvas.beginPath()
    for number, row in enumerate(rows):
        bottom = y + side - (QUIET_MODULES + number + 1) * module
        start = None
        for column, dark in enumerate([*row, False]):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                path.rect(x + (QUIET_MODULES + start) * module, bottom, (column - start) * module, module)
                start = None
    canvas.setFillGray(0)
    canvas.drawPath(path, stroke=0, fill=1)
