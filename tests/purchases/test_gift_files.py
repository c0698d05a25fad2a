"""Gifts in bulk: from a list, as codes, as cards; all or none, each mistake with its line."""

import csv
import io
from datetime import date, timedelta
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from carbonsink import fonts
from carbonsink.messages.models import Message
from purchases import gift_cards, gifts
from purchases.models import Gift, Order
from tests import factories
from tests.purchases.buying import anybody, bought

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    factories.market(5)
    return bought(5)


def send(order: Order, content: str | bytes, name: str = "gifts.csv") -> Any:
    body = content if isinstance(content, bytes) else content.encode()
    data = {"giver": "王五", "file": SimpleUploadedFile(name, body)}
    return anybody().post(f"/orders/{order.token}/gifts/file/", data)


def stored() -> list[tuple[Any, ...]]:
    return list(Gift.objects.order_by("pk").values_list("recipient", "trees", "message", "opens_on", "giver"))


def test_a_csv_becomes_gifts_and_only_those_with_a_contact_are_sent(order: Order) -> None:
    day = timezone.localdate() + timedelta(days=3)
    answer = send(order, f"收礼人,棵数,留言,联系方式,日期\n李四,2,谢谢,138 1234 5678,{day}\n小芳,,,,\n")
    assert answer.status_code == 302
    assert stored() == [("李四", 2, "谢谢", day, "王五"), ("小芳", 1, "", None, "王五")]
    message = Message.objects.get(key__startswith="gift:")
    assert (message.to, timezone.localtime(message.due_at).date()) == ("13812345678", day)


def test_a_workbook_becomes_gifts(order: Order) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Recipient", "Trees", "Date"])
    book.active.append(["Ann", 3, timezone.localdate() + timedelta(days=1)])
    buffer = io.BytesIO()
    book.save(buffer)
    assert send(order, buffer.getvalue(), "gifts.xlsx").status_code == 302
    assert stored() == [("Ann", 3, "", timezone.localdate() + timedelta(days=1), "王五")]


def test_each_mistake_is_said_with_its_line_and_nothing_is_stored(order: Order) -> None:
    rows = "recipient,trees,contact,date\nA,1,,\nB,two,,\nC,1,nobody,\nD,1,,soon\nE,0,,\nF,1,1.38E+10,\n"
    answer = send(order, rows)
    page = answer.content.decode()
    assert answer.status_code == 400 and "5 lines cannot be read. Nothing was stored" in page
    for line in (3, 4, 5, 6, 7):
        assert f"Line {line}:" in page
    assert "Line 2:" not in page
    assert (stored(), Message.objects.filter(key__startswith="gift:").count()) == ([], 0)


@pytest.mark.parametrize(
    "content", ["", "name of nothing,x\n1,2\n", "recipient,trees\n", b"PK\x03\x04nonsense", b"\xff\xfe\x00\xd8"]
)
def test_what_is_no_list_is_said(order: Order, content: str | bytes) -> None:
    assert send(order, content).status_code == 400
    assert stored() == []


def test_a_list_of_more_trees_than_are_free_is_refused_whole(order: Order) -> None:
    answer = send(order, "recipient,trees\nA,3\nB,3\n")
    assert answer.status_code == 409 and stored() == []


def test_a_list_has_at_most_5000_gifts(order: Order) -> None:
    assert send(order, "recipient\n" + "A\n" * 5001).status_code == 400
    assert send(order, "recipient\n" + "A\n" * 5000).status_code == 409  # The order has 5 trees.


def test_codes_of_so_many_trees_each(order: Order) -> None:
    address = f"/orders/{order.token}/gifts/codes/"
    assert anybody().post(address, {"codes": "3", "trees": "2"}).status_code == 409
    assert anybody().post(address, {"codes": "5001", "trees": "1"}).status_code == 400
    assert anybody().post(address, {"codes": "2", "trees": "2", "giver": "学校"}).status_code == 302
    assert stored() == [("", 2, "", None, "学校")] * 2
    assert len(set(Gift.objects.values_list("code", flat=True))) == 2


def test_codes_come_as_csv_that_no_spreadsheet_runs(order: Order) -> None:
    (gift,) = gifts.give(order, [gifts.Wish(1, recipient="=1+1", opens_on=date(2027, 2, 1))], giver="")
    answer = anybody().get(f"/orders/{order.token}/gifts/codes.csv")
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert "no-store" in answer.headers["Cache-Control"]
    assert row["code"].replace("-", "") == gift.code and row["link"].endswith(f"/g/{gift.code}/")
    assert (row["recipient"], row["trees"], row["date"], row["state"]) == ("'=1+1", "1", "2027-02-01", "waiting")


def test_cards_are_printed_of_gifts_that_wait_eight_on_a_sheet(order: Order) -> None:
    made = gifts.give(order, [gifts.Wish(1, "李四", "祝福")] * 3, giver="王五")
    gifts.withdraw(made[0])
    address = f"/orders/{order.token}/gifts/"
    answer = anybody().get(address + "cards.pdf")
    assert answer.content.startswith(b"%PDF") and answer.headers["Content-Type"] == "application/pdf"
    assert "no-store" in answer.headers["Cache-Control"]
    assert anybody().get(address + "cards.pdf?from=3").status_code == 404
    assert anybody().get(address + f"{made[1].pk}/card.pdf").content.startswith(b"%PDF")
    assert pages(gift_cards.cards_pdf(made[1:] * 4)) == 1
    assert pages(gift_cards.cards_pdf(made * 3)) == 2


def pages(pdf: bytes) -> int:
    return pdf.count(b"/Type /Page\n")


def test_a_long_message_stays_in_its_lines() -> None:
    lines = gift_cards._wrapped("祝你生日快乐愿这棵树陪你一年" * 5 + " and a few words more", 9, 140)
    assert "".join(lines).replace(" ", "").startswith("祝你生日快乐") and len(lines) > 3
    assert max(fonts.width_pt(line, 9) for line in lines) <= 140
    assert gift_cards._wrapped("春夏秋冬，山水。。。。。。。", 10, 41) == ["春夏秋", "冬，山", "水。。。", "。。。。"]
