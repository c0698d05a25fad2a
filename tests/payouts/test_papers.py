"""Papers for a village: what they say, of whom, for whom, and that a camera and a printer can read them."""

import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from carbonsink import fonts
from carbonsink.accounts import roles
from carbonsink.glyphs import GlyphWriter
from payouts import sending
from payouts.models import Payout
from payouts.papers import Month, notices, slips, statements
from payouts.papers.statements import monthly, rows_of
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.payouts.test_household_page import paid
from tests.purchases import books
from tests.trees.conftest import signed_in
from tests.trees.test_tags import sheets
from trees.models import Household

__all__ = ["paid"]
POPPLER = pytest.mark.skipif(
    not Path("/usr/bin/pdftoppm").exists(), reason="no pdftoppm: apt-get install poppler-utils"
)
THIS_MONTH = Month.named("")


def said(village: Any, month: Month = THIS_MONTH) -> dict[int, list[tuple[str, str]]]:
    """The rows of each household's statement, by its ordinal."""
    return {
        one.household.ordinal: [(row.left, row.right) for row in rows_of(one, month)] for one in monthly(village, month)
    }


def codes(content: bytes, folder: Path) -> list[str]:
    """What a camera reads on the first sheet."""
    pdf = folder / "paper.pdf"
    pdf.write_bytes(content)
    subprocess.run(["pdftoppm", "-r", "220", "-l", "1", "-png", str(pdf), str(folder / "sheet")], check=True)
    with Image.open(next(iter(folder.glob("sheet-*.png")))) as image:
        found, texts, *_ = cv2.QRCodeDetector().detectAndDecodeMulti(np.array(image.convert("RGB")))
    assert found
    return sorted(texts)


def content_of(client: Client, path: str) -> bytes:
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["Cache-Control"] == "private, no-store"
    return b"".join(answer)  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_a_statement_says_what_was_sold_paid_and_waits(paid: Payout) -> None:
    today, year = timezone.localdate(), timezone.localdate().year
    money.owe({paid.household: 120})
    first, second = said(paid.household.village).values()
    digits = paid.account.last_four
    assert first == [
        ("本月卖出", ""),
        (f"{year}年度 2棵 20千克", "¥6.00"),
        ("本月到账", ""),
        (f"{today.month}月{today.day}日 尾号{digits}", "¥6.00"),
        ("还没到账", ""),
        ("等着付给您", "¥1.20"),
        ("这几天就付，不用办什么。", ""),
        ("历年一共到账", "¥6.00"),
        ("收款账户", ""),
        (f"{paid.account.bank_name} 尾号{digits}", ""),
    ]
    assert [row for row, _ in second] == [
        "本月卖出", "本月没有卖出。", "本月到账", "本月没有到账。", "还没到账", "没有。", "历年一共到账", "收款账户",
        "还没有能用的账户，请找村登记员登记。",
    ]  # fmt: skip
    before = THIS_MONTH.first.replace(year=year - 1)
    earlier = said(paid.household.village, Month(before))[1]
    assert ("本月没有卖出。", "") in earlier and ("历年一共到账", "¥0.00") in earlier
    assert ("月底还没到账", "") in earlier and ("没有。", "") in earlier
    books.all_is_well()


@pytest.mark.django_db
def test_what_is_on_its_way_at_the_end_of_a_month_stands_there() -> None:
    (owner,) = money.households(1)
    money.settle(500)
    money.owe({owner: 500})
    run_payouts()
    assert ("正在办", "¥5.00") in said(owner.village)[1]
    sending.cancel(Payout.objects.get(), reason="test")
    assert ("等着付给您", "¥5.00") in said(owner.village)[1]
    assert ("正在办", "¥5.00") not in said(owner.village)[1]


def test_a_month_ends_with_the_year_and_none_to_come_is_printed(client: Client) -> None:
    december = Month(date(2025, 12, 1))
    assert (december.next, str(december)) == (date(2026, 1, 1), "2025年12月")
    assert (december.until - december.since).days == 31
    assert Month.named("2026-11").first == date(2026, 11, 1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "month", ["9999-01", "2026-13", "2026-1", "x", "2026-00", "２０２６-01", "1999-01", "2026-011"]
)
def test_another_month_is_refused_with_a_sentence(month: str) -> None:
    owner = factories.household()
    path = f"/officer/villages/{owner.village_id}/notice.pdf"
    answer = signed_in(owner.registered_by).get(path, {"month": month})
    assert answer.status_code == 400 and "2026-11" in answer.content.decode()


@POPPLER
@pytest.mark.django_db(transaction=True)
def test_a_village_s_papers_are_for_its_officer_and_its_county(paid: Payout, tmp_path: Path, settings: Any) -> None:
    owner = paid.household
    base = f"/officer/villages/{owner.village_id}/"
    other = Household.objects.exclude(pk=owner.pk).get()
    for user in (owner.registered_by, factories.user(roles.REVIEWER)):
        client = signed_in(user)
        content = content_of(client, base + "statements.pdf")
        assert sheets(content) == 1
        (tmp_path / str(user.pk)).mkdir()
        pages = [f"{settings.PUBLIC_BASE_URL}/h/{one.page_key}/" for one in (owner, other)]
        assert codes(content, tmp_path / str(user.pk)) == sorted(pages)
    notice = content_of(client, base + "notice.pdf?month=" + f"{THIS_MONTH.first:%Y-%m}")
    (tmp_path / "notice").mkdir()
    assert codes(notice, tmp_path / "notice") == [f"{settings.PUBLIC_BASE_URL}/money/"]
    for role, area in ((roles.OFFICER, "522631"), (roles.REVIEWER, "522631"), (roles.FINANCE, "")):
        for name in ("statements.pdf", "notice.pdf"):
            assert signed_in(factories.user(role, area)).get(base + name).status_code == 404
    assert client.get("/officer/villages/522633000000/notice.pdf").status_code == 404
    assert "登岜村" in client.get("/officer/papers/").content.decode()
    (tmp_path / "slip").mkdir()
    assert codes(slips.slip_pdf(owner, "123890"), tmp_path / "slip") == [
        f"{settings.PUBLIC_BASE_URL}/h/{owner.page_key}/"
    ]


@pytest.mark.django_db(transaction=True)
def test_the_notice_board_marks_who_was_paid_and_who_waits(paid: Payout) -> None:
    everybody = list(monthly(paid.household.village, THIS_MONTH))
    assert [notices.said_of(one) for one in everybody] == ["已到账", "—"]
    money.owe({everybody[1].household: 1})
    assert notices.said_of(list(monthly(paid.household.village, THIS_MONTH))[1]) == "待付"
    empty = list(monthly(paid.household.village, Month(date(2020, 1, 1))))
    assert dict(notices.facts_of(empty)) == {"登记农户": "2户", "本月": "没有卖出，也没有到账"}


def all_texts(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collects what is written on paper from here on."""
    written: set[str] = set()
    line = GlyphWriter.line

    def noted(self: GlyphWriter, x: float, y: float, text: str, *more: Any) -> None:
        written.add(text)
        line(self, x, y, text, *more)

    monkeypatch.setattr(GlyphWriter, "line", noted)
    return written


@pytest.mark.django_db
def test_rare_characters_are_drawn_and_what_the_font_lacks_is_never_an_empty_box(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("㵲阳𠮷", "龘䶮", "滚\U0010fffd\ue000修"):
        owner = factories.household(head_name=name)
    written = all_texts(monkeypatch)
    with (tmp_path / "a.pdf").open("wb") as file:
        assert statements.statements_pdf(owner.village, THIS_MONTH, file) == 3
        notices.notice_pdf(owner.village, THIS_MONTH, file)
    assert "登岜村 001号 㵲*𠮷" in written and "登岜村 002号 龘*" in written
    assert fonts.missing("".join(written)) == ""
    with pytest.raises(ValueError, match="no glyph for U\\+E000"):
        GlyphWriter(Canvas(str(tmp_path / "b.pdf"))).line(0, 0, "\ue000", 10)


@pytest.mark.django_db
def test_more_households_take_neither_more_queries_nor_more_glyphs(tmp_path: Path) -> None:
    made = money.households(2)
    village, sizes, asked = made[0].village, [], []
    for more in (0, 6, 12):
        made += money.households(more)
        money.owe(dict.fromkeys(made, 1234))
        money.settle(1234 * len(made))
        run_payouts()
        with CaptureQueriesContext(connection) as queries, (tmp_path / f"{more}.pdf").open("wb") as file:
            assert statements.statements_pdf(village, THIS_MONTH, file) == len(made)
        content = (tmp_path / f"{more}.pdf").read_bytes()
        assert sheets(content) == len(made) // 2
        sizes.append(len(content))
        asked.append(len(queries))
    assert asked[0] == asked[1] == asked[2]
    assert sizes[2] < 2 * sizes[0]
