"""Drawings of certificates: nothing runs out of its frame, no character is an empty box, ended ones say so."""

import io
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbonsink import fonts, qr
from purchases import drawing, holding
from purchases.drawing import layout, ornament
from purchases.drawing.facts import facts_of
from purchases.drawing.layout import HEIGHT, WIDTH, Line
from purchases.drawing.sheet import sheet_layout
from purchases.drawing.words import WORDS, Language, Words, language_of
from purchases.models import Buyer, Certificate
from tests import factories

pytestmark = pytest.mark.django_db
LANGUAGES: list[Language] = ["zh-hans", "en"]
RARE = "𠮷㵲㯊"
LONG_ZH = "黔东南苗族侗族自治州从江县洛香镇登岜村林业合作社" * 4
LONG_EN = "The International Consortium for Sustainable Mountain Forestry and Rural Welfare"


def certified(quantity: int = 1, **choice: Any) -> Certificate:
    factories.market(quantity)
    made = factories.paid_order(quantity, **choice).certificate
    assert made is not None
    return made


def lines_of(certificate: Certificate, language: Language) -> list[Line]:
    parts = layout.certificate_layout(facts_of(certificate, language), Words(language))
    return [part for part in parts if isinstance(part, Line)]


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_every_word_of_both_languages_has_its_characters() -> None:
    assert WORDS["en"].keys() ^ WORDS["zh-hans"].keys() <= {"other"}
    assert {
        name: fonts.missing(text) for words in WORDS.values() for name, text in words.items() if fonts.missing(text)
    } == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_rare_characters_are_drawn_and_lacking_ones_are_named(language: Language) -> None:
    certificate = certified(holder=f"{RARE}公司 🌳𪜀")
    texts = [line.text for line in lines_of(certificate, language)]
    assert f"{RARE}公司 〓〓" in texts
    assert any("U+1F333 U+2A700" in text for text in texts)
    assert [text for text in texts if fonts.missing(text)] == []
    for char in RARE:
        glyph = bytes(fonts.font(64).getmask(char))
        assert glyph not in (bytes(fonts.font(64).getmask("\U0010ffff")), bytes(fonts.font(64).getmask("〓")))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("holder", ["王", LONG_ZH[:80], LONG_EN[:80], "W" * 80, "。" * 80])
def test_names_of_any_length_stay_inside_the_frame_and_on_their_own_lines(language: Language, holder: str) -> None:
    certificate = certified(holder=holder, dedication=(LONG_ZH + LONG_ZH)[:120])
    retired = holding.retire(certificate, beneficiary=LONG_ZH[:80], purpose=(LONG_ZH * 3)[:200])
    lines = lines_of(retired, language)
    said = "".join(line.text for line in lines).replace(" ", "")
    assert holder.replace(" ", "") in said
    assert retired.retirement.purpose in said
    for line in lines:
        wide = layout.width_of(line.text, line.size, line.weight)
        left = line.x - {"l": 0, "m": wide / 2, "r": wide}[line.anchor]
        assert left >= 60, line
        assert left + wide <= WIDTH - 60, line
        assert line.size <= line.y <= HEIGHT - 45, line
    # Lines in the middle do not run into each other.
    middle = sorted((line for line in lines if line.anchor == "m" and 392 < line.y < 1180), key=lambda line: line.y)
    for upper, lower in pairwise(middle):
        assert lower.y == upper.y or lower.y - 0.88 * lower.size >= upper.y - 1, (upper, lower)
    assert max(line.y for line in middle) <= layout.BOTTOM + 6


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_words_on_a_trees_sheet_stay_above_its_foot(language: Language) -> None:
    certificate = certified(holder=LONG_ZH[:80])
    retired = holding.retire(certificate, beneficiary=LONG_ZH[:80], purpose=(LONG_ZH * 3)[:200])
    tree = retired.sinks.get().tree
    parts = sheet_layout(facts_of(retired, language), Words(language), tree)
    lines = [part for part in parts if isinstance(part, Line)]
    (serial,) = [line for line in lines if line.text == WORDS[language]["serial"]]
    above = [line for line in lines if line.text not in (serial.text, retired.serial) and line.y < serial.y]
    assert max(line.y for line in above) <= layout.BOTTOM
    said = "".join(line.text for line in above)
    assert LONG_ZH[:80] in said
    assert retired.retirement.purpose in said
    assert [line.text for line in lines if fonts.missing(line.text)] == []


def test_lines_break_at_words_and_before_no_closing_mark() -> None:
    assert layout.wrapped("one two three", 100, layout.width_of("one two", 100) + 1) == ["one two", "three"]
    assert layout.wrapped("春夏秋冬，山水", 100, 401) == ["春夏秋", "冬，山水"]
    assert layout.wrapped("", 100, 400) == []
    assert "".join(layout.wrapped("x" * 50, 100, 300)) == "x" * 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_picture_is_portrait_and_leads_to_the_check(language: Language) -> None:
    certificate = certified(2)
    picture = opened(drawing.certificate_png(certificate, language))
    assert (picture.format, picture.size) == ("PNG", (1080, 1440))
    rows = qr.matrix(f"http://127.0.0.1:8000/c/{certificate.token}/")
    box = (layout.CODE_LEFT, layout.CODE_TOP, layout.CODE_LEFT + layout.CODE_SIDE, layout.CODE_TOP + layout.CODE_SIDE)
    pixels = np.array(picture.convert("L").crop(box))
    scale = layout.CODE_SIDE // (len(rows) + 4)
    edge = (layout.CODE_SIDE - scale * len(rows)) // 2
    read = [
        [bool(pixels[edge + y * scale + scale // 2, edge + x * scale + scale // 2] < 128) for x in range(len(rows))]
        for y in range(len(rows))
    ]
    assert read == rows


def test_the_drawing_tells_the_tariff_the_place_and_the_retirement() -> None:
    certificate = certified(2, holder="")
    texts = "".join(line.text for line in lines_of(certificate, "zh-hans"))
    for said in ("匿名购碳者", "并非实测", "杉木", "登岜村", certificate.serial, "20", str(certificate.vintage)):
        assert said in texts
    retired = holding.retire(certificate, beneficiary="李四", purpose="婚礼")
    texts = "".join(line.text for line in lines_of(retired, "zh-hans"))
    assert "已为「李四」注销，用于：婚礼" in texts
    assert "Retired for 李四: 婚礼" in "".join(line.text for line in lines_of(retired, "en"))


def red(content: bytes) -> bool:
    """Whether there is a red band across the picture."""
    return opened(content).convert("RGB").getpixel((20, 710)) == pytest.approx((166, 27, 27), abs=20)


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_that_has_ended_bears_a_band(language: Language) -> None:
    certificate = certified()
    plain = drawing.certificate_pdf(certificate, language)
    assert not red(drawing.certificate_png(certificate, language))
    friend = Buyer.objects.create(contact="friend@example.org")
    holding.hand_on(certificate, to=friend, holder="", trees=1, reason="gift")
    certificate.refresh_from_db()
    assert red(drawing.certificate_png(certificate, language))
    assert facts_of(certificate, language).band == WORDS[language]["transferred"]
    assert drawing.certificate_pdf(certificate, language) != plain


@pytest.mark.parametrize("language", LANGUAGES)
def test_papers_are_one_page_of_a4(language: Language) -> None:
    certificate = certified(2, holder=LONG_ZH[:80])
    for content in (
        drawing.certificate_pdf(certificate, language),
        drawing.tree_pdf(certificate, certificate.sinks.earliest("pk").tree, language),
    ):
        assert content.startswith(b"%PDF-")
        assert len(re.findall(rb"/Type /Page\b", content)) == 1
        assert re.search(rb"/MediaBox \[ 0 0 595\.\d+ 841\.\d+ \]", content)
        assert len(content) < 400_000


def test_the_ornament_stays_on_the_page() -> None:
    corners = [corner for part in ornament.ornament() if isinstance(part, ornament.Shape) for corner in part.corners]
    assert all(42 < x < WIDTH - 42 and 42 < y < HEIGHT - 42 for x, y in corners)


def test_languages_other_than_english_are_drawn_in_chinese() -> None:
    assert [language_of(code) for code in ("en", "en-gb", "zh-hans", "fr", "")] == ["en", "en", *["zh-hans"] * 3]
