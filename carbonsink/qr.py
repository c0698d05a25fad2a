"""QR codes as PNG pictures."""

import io

import qrcode
from django.http import HttpResponse
from qrcode.constants import ERROR_CORRECT_M


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
