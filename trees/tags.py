"""Tags to be printed, cut and tied to the trees: the number, the species, the village, and a QR code that leads to the
tree's public page."""

import io
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts, qr
from carbonsink.errors import DomainError
from carbonsink.templatetags.places import place
from trees.models import Division, Household, Tree

GROUPS = (6, 3, 3, 3, 3, 1)  # County, township, village; household, tree, check digit.
# A tag on one of these would lead nobody to a tree.
GONE = (Tree.State.DEAD, Tree.State.FELLED)


@dataclass(frozen=True)
class Size:
    """A tag's size and how many lie on a sheet; mm, and points for the letters."""

    width: float
    height: float
    columns: int
    rows: int
    species_pt: float
    number_pt: float
    village_pt: float

    @property
    def code(self) -> float:
        """The side of the QR code with its quiet zone (mm)."""
        return self.height - 4


SIZES = {
    "small": Size(62, 34, 3, 8, 13, 9.5, 7.5),
    "medium": Size(93, 54, 2, 5, 18, 13, 11),
    "large": Size(186, 90, 1, 3, 34, 30, 20),
}


def tags_pdf(household: Household, size: str = "medium", first: int = 1, last: int = 999) -> bytes:
    """A PDF of A4 sheets with the tags of the household's trees `first` to `last` (their ordinals), in their order.

    The caller has looked the household up among those the user may see. Raises DomainError when there is no such tree.
    """
    trees = list(_tagged(household, first, last))
    if not trees:
        raise DomainError("no_trees", _("There are no trees for tags here. Register trees first, or choose others."))
    layout, village = SIZES[size], _village(household.village)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setTitle(f"{household} {trees[0].ordinal}-{trees[-1].ordinal}")
    sheet = layout.columns * layout.rows
    sheets = [trees[start : start + sheet] for start in range(0, len(trees), sheet)]
    writer = fonts.Writer(canvas)
    for number, shown in enumerate(sheets, 1):
        _draw_sheet(writer, layout, shown, village)
        canvas.setFont("Helvetica", 7)
        canvas.drawCentredString(A4[0] / 2, 4 * mm, f"{household}   {number} / {len(sheets)}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _tagged(household: Household, first: int, last: int) -> QuerySet[Tree]:
    return (
        household.trees.filter(ordinal__range=(first, last))
        .exclude(state__in=GONE)
        .select_related("species")
        .only("number", "ordinal", "species__name_zh")
        .order_by("ordinal")
    )


def _village(village: Division) -> str:
    """County, township and village, as people say them."""
    return " ".join(place(division.name) for division in village.path[-3:])


def _draw_sheet(writer: fonts.Writer, layout: Size, trees: list[Tree], village: str) -> None:
    """One sheet, filled from the top left, with hairlines and marks to cut along."""
    left = (A4[0] - layout.columns * layout.width * mm) / 2
    top = A4[1] - (A4[1] - layout.rows * layout.height * mm) / 2
    _draw_cuts(writer.canvas, layout, left, top)
    for index, tree in enumerate(trees):
        row, column = divmod(index, layout.columns)
        x, y = left + column * layout.width * mm, top - (row + 1) * layout.height * mm
        writer.canvas.setStrokeGray(0.75)
        writer.canvas.setLineWidth(0.25)
        writer.canvas.rect(x, y, layout.width * mm, layout.height * mm)
        _draw_tag(writer, layout, tree, village, x, y)


def _draw_cuts(canvas: Canvas, layout: Size, left: float, top: float) -> None:
    right, bottom = left + layout.columns * layout.width * mm, top - layout.rows * layout.height * mm
    canvas.setStrokeGray(0)
    canvas.setLineWidth(0.5)
    for column in range(layout.columns + 1):
        x = left + column * layout.width * mm
        canvas.line(x, top + 1.5 * mm, x, top + 5 * mm)
        canvas.line(x, bottom - 1.5 * mm, x, bottom - 5 * mm)
    for row in range(layout.rows + 1):
        y = top - row * layout.height * mm
        canvas.line(left - 1.5 * mm, y, left - 5 * mm, y)
        canvas.line(right + 1.5 * mm, y, right + 5 * mm, y)


def _draw_tag(writer: fonts.Writer, layout: Size, tree: Tree, village: str, x: float, y: float) -> None:
    """The code on the left, the words beside it: what one looks for last is largest and lowest."""
    edge = 2 * mm
    address = settings.PUBLIC_BASE_URL + reverse("purchases:tree", args=[tree.number])
    qr.draw(writer.canvas, address, x + edge, y + edge, layout.code * mm)
    text_x = x + edge + layout.code * mm
    width = layout.width * mm - layout.code * mm - 3 * edge
    # Beside the code itself, which stands four modules inside its square.
    rise = 0.1 * layout.code * mm
    bottom, height = y + edge + rise, layout.code * mm - 2 * rise
    writer.fitting(
        text_x, bottom + height - 0.85 * layout.species_pt, tree.species.name_zh, width, layout.species_pt, "Bold"
    )
    writer.fitting(
        text_x, bottom + height - 0.85 * layout.species_pt - 1.7 * layout.village_pt, village, width, layout.village_pt
    )
    groups = grouped(tree.number)
    canvas = writer.canvas
    canvas.setFillGray(0)
    canvas.setFont("Helvetica", layout.number_pt)
    canvas.drawString(text_x, bottom + 1.45 * layout.number_pt, " ".join(groups[:3]))
    canvas.setFont("Helvetica-Bold", layout.number_pt * 1.3)
    canvas.drawString(text_x, bottom, " ".join(groups[3:]))


def grouped(number: str) -> list[str]:
    """5226331022020010017 → 522633 102 202 001 001 7."""
    ends = [sum(GROUPS[: index + 1]) for index in range(len(GROUPS))]
    return [number[end - length : end] for end, length in zip(ends, GROUPS, strict=True)]
