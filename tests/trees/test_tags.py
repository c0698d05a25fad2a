"""Sheets of tags: every tree once, its number to be read and its code to be scanned, in glyphs that are really there."""

import re
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.test import Client
from PIL import Image, ImageChops

from carbonsink import fonts
from carbonsink.accounts.models import User
from tests import factories
from trees import tags
from trees.models import Household, Species, Tree
from trees.numbers import tree_number

pytestmark = pytest.mark.django_db
RARE = "㵲𠮷"


@pytest.fixture
def owner(officer: User) -> Household:
    return factories.household(officer)


def stand(owner: Household, count: int) -> list[Tree]:
    """So many trees of a household."""
    first = factories.tree(owner, photo=False)
    made = []
    for ordinal in range(2, count + 1):
        tree = Tree.objects.get(pk=first.pk)
        tree.pk, tree.ordinal, tree.client_uuid = None, ordinal, uuid.uuid4()
        tree.number = tree_number(owner.village_id, owner.ordinal, ordinal)
        made.append(tree)
    Tree.objects.bulk_create(made)
    return list(owner.trees.order_by("ordinal"))


def address(owner: Household, query: str = "") -> str:
    return f"/officer/households/{owner.public_id}/tags.pdf{query}"


def sheets(content: bytes) -> int:
    found = re.search(rb"/Type /Pages\b|/Count (\d+)", content)
    counts = re.findall(rb"/Count (\d+)", content)
    assert found
    return int(counts[0])


def codes(content: bytes, tmp_path: Path, dpi: int = 200) -> list[str]:
    """What a camera reads on the first sheet, sorted; and the sheet as a picture for who wants to look."""
    pdf = tmp_path / "tags.pdf"
    pdf.write_bytes(content)
    subprocess.run(["pdftoppm", "-r", str(dpi), "-l", "1", "-png", str(pdf), str(tmp_path / "sheet")], check=True)
    (png,) = tmp_path.glob("sheet-*.png")
    with Image.open(png) as image:
        pixels = np.array(image.convert("RGB"))
    found, texts, _corners, _straight = cv2.QRCodeDetector().detectAndDecodeMulti(pixels)
    assert found
    return sorted(texts)


def test_each_size_is_a_sheet_of_a4_with_every_tree_s_number(field: Client, owner: Household) -> None:
    stand(owner, 25)
    for size, count in (("small", 2), ("medium", 3), ("large", 9)):
        answer = field.get(address(owner, f"?size={size}"))
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        assert answer["Content-Disposition"] == f'inline; filename="tags-{factories.VILLAGE}-001-{size}.pdf"'
        assert answer["Cache-Control"] == "private, no-store"
        assert sheets(answer.content) == count
        assert b"/MediaBox [ 0 0 595.2756 841.8898 ]" in answer.content


@pytest.mark.skipif(not Path("/usr/bin/pdftoppm").exists(), reason="no pdftoppm: apt-get install poppler-utils")
@pytest.mark.parametrize("size", tags.SIZES)
def test_the_codes_lead_to_the_trees_pages(
    field: Client, owner: Household, size: str, tmp_path: Path, settings: Any
) -> None:
    settings.PUBLIC_BASE_URL = "https://carbon.example.gov.cn"
    trees = stand(owner, 3)
    found = codes(field.get(address(owner, f"?size={size}")).content, tmp_path)
    assert found == [f"https://carbon.example.gov.cn/trees/{tree.number}/" for tree in trees]


def test_some_trees_only_and_none_that_is_gone(owner: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = stand(owner, 6)
    Tree.objects.filter(pk=trees[3].pk).update(**{"state": "felled"})
    drawn = []
    monkeypatch.setattr(tags, "_draw_tag", lambda writer, layout, tree, *_: drawn.append(tree.ordinal))
    tags.tags_pdf(owner, "medium", 2, 5)
    assert drawn == [2, 3, 5]


@pytest.mark.parametrize("query", ["?size=huge", "?from=0", "?to=1000", "?from=x", "?from=1&to=-3"])
def test_a_wrong_choice_is_a_page_with_a_sentence(field: Client, owner: Household, query: str) -> None:
    factories.tree(owner, photo=False)
    answer = field.get(address(owner, query))
    assert answer.status_code == 400
    assert "Choose the size small, medium or large, and trees from 1 to 999." in answer.content.decode()


@pytest.mark.parametrize("query", ["", "?from=2", "?from=5&to=3"])
def test_without_trees_there_is_no_sheet_but_a_sentence(field: Client, owner: Household, query: str) -> None:
    if query:
        factories.tree(owner, photo=False)
    answer = field.get(address(owner, query))
    assert answer.status_code == 400
    assert "There are no trees for tags here." in answer.content.decode()


def test_a_whole_household_is_drawn_in_seconds(owner: Household) -> None:
    stand(owner, 450)
    begun = time.process_time()
    content = tags.tags_pdf(owner, "small")
    assert time.process_time() - begun < 5
    assert sheets(content) == 19
    assert len(content) < 2_000_000


def test_rare_characters_have_glyphs_of_their_own(owner: Household) -> None:
    assert fonts.missing("登岜村杉木" + RARE) == ""
    assert fonts.missing("a\U0010ffff b\U000e1234") == "\U0010ffff\U000e1234"
    box = fonts.picture("\U0010ffff", 20)
    drawn = [fonts.picture(char, 20) for char in RARE]
    for one, other in ((box, drawn[0]), (box, drawn[1]), (drawn[0], drawn[1])):
        same_size = other.resize(one.size)
        assert ImageChops.difference(one, same_size).getbbox() is not None
        assert np.abs(np.array(one, dtype=int) - np.array(same_size, dtype=int)).mean() > 5
    darkness = [255 - np.array(image).mean() for image in drawn]
    assert all(40 < dark < 150 for dark in darkness), darkness
    Species.objects.create(scientific_name="Rara rara", name_zh=RARE)
    factories.tree(owner, photo=False)
    Tree.objects.update(species=Species.objects.get(scientific_name="Rara rara"))
    assert tags.tags_pdf(owner).startswith(b"%PDF-")


def test_a_long_name_is_made_smaller_and_stays_on_its_tag(owner: Household) -> None:
    widths = []
    layout = tags.SIZES["small"]
    name = "云南松与马尾松的天然杂交种"
    writer = fonts.Writer(tags.Canvas("x.pdf"))
    writer.line = lambda x, y, text, size_pt, weight: widths.append(fonts.width_pt(text, size_pt, weight))  # type: ignore[method-assign]
    writer.fitting(0, 0, name, 75, layout.species_pt, "Bold")
    writer.fitting(0, 0, "杉木", 75, layout.species_pt, "Bold")
    assert 70 < widths[0] <= 76
    assert widths[1] == fonts.width_pt("杉木", layout.species_pt, "Bold")


def test_the_household_s_page_offers_the_tags(field: Client, county: Client, owner: Household) -> None:
    page = f"/officer/households/{owner.public_id}/"
    assert "tags.pdf" not in field.get(page).content.decode()
    factories.tree(owner, photo=False)
    shown = field.get(page).content.decode()
    assert f'action="{address(owner)}"' in shown
    assert all(f'name="{name}"' in shown for name in ("size", "from", "to"))
    assert "tags.pdf" not in county.get(page).content.decode()


class TestTreePage:
    """Where a tag leads."""

    def test_an_officer_of_the_area_goes_on_to_the_field_app_others_do_not(
        self, field: Client, county: Client, owner: Household, reviewer: User
    ) -> None:
        tree = factories.approved_tree(owner, reviewer)
        link = f'href="/field/#/tree/{tree.number}"'
        elsewhere = Client()
        elsewhere.force_login(factories.user("officer", "522631"))
        assert link in field.get(f"/trees/{tree.number}/").content.decode()
        for client in (Client(), county, elsewhere):
            answer = client.get(f"/trees/{tree.number}/")
            assert answer.status_code == 200
            assert "/field/" not in answer.content.decode()

    def test_a_tree_that_is_not_public_yet_opens_in_the_field_app_for_its_officer_only(
        self, field: Client, county: Client, owner: Household
    ) -> None:
        tree = factories.tree(owner)
        answer = field.get(f"/trees/{tree.number}/")
        assert (answer.status_code, answer["Location"]) == (302, f"/field/#/tree/{tree.number}")
        for client in (Client(), county):
            assert client.get(f"/trees/{tree.number}/").status_code == 404
