"""What a drawing of a certificate says, gathered once for picture and paper."""

from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from carbonsink import fonts
from carbonsink.templatetags.places import place
from purchases.drawing.words import Language, Words
from purchases.models import Certificate, Retirement
from purchases.standing import standing
from trees.models import Division

MOST_SPECIES = 3
ENDED = ("transferred", "replaced", "refunded", "revoked")


@dataclass(frozen=True)
class Facts:
    """All texts of a drawing, ready to be drawn; those that do not apply are empty."""

    holder: str
    deed: str
    dedication: str
    figures: tuple[tuple[str, str], ...]
    species: str
    place: str
    tariff: str
    serial: str
    issued: str
    retired: str
    retired_on: str
    band: str
    note: str
    address: str


def facts_of(certificate: Certificate, language: Language) -> Facts:
    """The texts of a certificate's drawing."""
    words = Words(language)
    stands = standing(certificate)
    holder, dedication = certificate.holder or words("anonymous"), certificate.dedication
    retirement = Retirement.objects.filter(certificate=certificate).first() if stands == "retired" else None
    retired = (
        words("retired", beneficiary=retirement.beneficiary, purpose=retirement.purpose)
        if retirement is not None
        else ""
    )
    species, village = _what_and_where(certificate, words)
    one = certificate.trees == 1
    return Facts(
        holder=fonts.drawable(holder),
        deed=words("deed_one" if one else "deed", trees=f"{certificate.trees:,}", vintage=certificate.vintage),
        dedication=fonts.drawable(dedication),
        figures=(
            (f"{certificate.trees:,}", "tree" if one and language == "en" else words("trees")),
            (f"{certificate.kg:,}", words("kg")),
            (str(certificate.vintage), words("vintage")),
        ),
        species=species,
        place=village,
        tariff=words("tariff", kg=certificate.order.kg),
        serial=certificate.serial,
        issued=words.day(_local(certificate.issued_at)),
        retired=fonts.drawable(retired),
        retired_on=words("retired_on", day=words.day(_local(retirement.at))) if retirement else "",
        band=words(stands) if stands in ENDED else "",
        note=_note(words, holder + dedication + retired),
        address=address(certificate),
    )


def address(certificate: Certificate) -> str:
    """Where the certificate is checked."""
    return settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[certificate.token])


def _local(at: object) -> date:
    return timezone.localtime(at).date()  # type: ignore[arg-type]


def _note(words: Words, text: str) -> str:
    """What the signs for missing characters stand for, so that a name stays exact."""
    lacking = fonts.missing(text)
    return words("no_glyph", codes=" ".join(f"U+{ord(char):X}" for char in lacking)) if lacking else ""


def _what_and_where(certificate: Certificate, words: Words) -> tuple[str, str]:
    """The most frequent species and the village with most of the trees that the certificate covers now."""
    name = "coalesce(nullif(p.name_en, ''), p.scientific_name)" if words.language == "en" else "p.name_zh"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {name}, h.village_id, count(*)
                  FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
                  JOIN trees_species p ON p.id = t.species_id
                  JOIN trees_household h ON h.id = s.household_id
                 WHERE s.certificate_id = %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2""",  # noqa: S608 - one of two names
            [certificate.pk],
        )
        rows = cursor.fetchall()
    if not rows:
        return "", ""
    species = list(dict.fromkeys(row[0] for row in rows))
    shown = words("comma").join(species[:MOST_SPECIES]) + (words("and_more") if len(species) > MOST_SPECIES else "")
    villages = list(dict.fromkeys(row[1] for row in rows))
    where = place_of(Division.objects.get(pk=villages[0]))
    if len(villages) > 1:
        name = "other" if words.language == "en" and len(villages) == 2 else "others"
        where = words(name, first=where, count=len(villages), others=len(villages) - 1)
    return fonts.drawable(shown), fonts.drawable(where)


def place_of(village: Division) -> str:
    """Prefecture, county, township and village, as people say them."""
    return " ".join(place(division.name) for division in village.path[-4:])
