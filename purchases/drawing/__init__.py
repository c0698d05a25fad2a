"""Drawings of a certificate: a picture to share, a paper to print, and one tree's sheet; in Chinese or English."""

from purchases.drawing.paper import certificate_pdf, tree_pdf
from purchases.drawing.picture import certificate_png

__all__ = ["certificate_pdf", "certificate_png", "tree_pdf"]
