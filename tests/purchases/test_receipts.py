"""Receipts: what a buyer's books need, in figures and in words."""

import re
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from carbonsink import fonts
from carbonsink.accounts import roles
from carbonsink.money import in_words
from purchases import givebacks, receipts
from purchases.models import Voucher
from tests import factories
from tests.purchases import banking

DIGITS = "零壹贰叁肆伍陆柒捌玖"


def read_back(words: str) -> int:
    """The fen of an amount in words, read as a person would: by units, zeros passed over."""
    yuan, _, rest = words.partition("元") if "元" in words else ("", "", words)
    fen = 0
    for unit, worth in (("亿", 10**8), ("万", 10**4), ("", 1)):
        part, found, after = yuan.partition(unit) if unit else (yuan, "", "")
        if unit and not found:
            continue
        yuan = after
        for digit, place in re.findall(rf"([{DIGITS[1:]}])([拾佰仟]?)", part):
            fen += DIGITS.index(digit) * {"": 1, "拾": 10, "佰": 100, "仟": 1000}[place] * worth * 100
    for digit, unit in re.findall(rf"([{DIGITS[1:]}])([角分])", rest):
        fen += DIGITS.index(digit) * (10 if unit == "角" else 1)
    return fen


@given(st.integers(0, 10**14 - 1) | st.integers(0, 10**7))
def test_amounts_in_words_are_read_back_as_they_were(fen: int) -> None:
    words = in_words(fen)
    assert read_back(words) == fen
    assert words.endswith("整" if fen % 10 == 0 else "分")
    assert words == "零元整" or not re.search(r"零零|零[拾佰仟万亿元角分整]|^零", words), words


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (30, "叁角整"),
        (300, "叁元整"),
        (105, "壹元零伍分"),
        (150, "壹元伍角整"),
        (1000, "壹拾元整"),
        (100101, "壹仟零壹元零壹分"),
        (300000, "叁仟元整"),
        (10_000_000, "壹拾万元整"),
        (10_100_000, "壹拾万零壹仟元整".replace("零", "")),
        (10_001_000, "壹拾万零壹拾元整"),
        (10_000_000_100, "壹亿零壹元整"),
        (10_000_100_000, "壹亿零壹仟元整"),
        (150_000_000, "壹佰伍拾万元整"),
        (1_680_032, "壹万陆仟捌佰元叁角贰分"),
        (140_950, "壹仟肆佰零玖元伍角整"),
        (600_714, "陆仟零柒元壹角肆分"),
        (99_999_999_999_999, "玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分"),
    ],
)
def test_amounts_in_words(fen: int, words: str) -> None:
    assert in_words(fen) == words


@pytest.mark.parametrize("fen", [-1, 10**14])
def test_what_has_no_words_is_refused(fen: int) -> None:
    with pytest.raises(ValueError, match="cannot be written in words"):
        in_words(fen)


@pytest.mark.django_db
def test_an_organisations_receipt() -> None:
    factories.market(3)
    order = banking.order(3)
    banking.transfer(900, order.number)
    order.refresh_from_db()
    client = Client(headers={"accept-language": "en"})
    page = client.get(f"/orders/{order.token}/receipt/").content.decode()
    for text in (
        "收款收据", order.number, "贵州青山科技有限公司", banking.CODE, "3 × ¥3.00", "¥9.00", "人民币玖元整", "Bank transfer",
    ):  # fmt: skip
        assert text in page, text
    transaction = order.payments.get(gateway="transfer").transaction_id
    assert transaction is not None
    assert transaction[-8:] in page
    givebacks.give_back(order, 1, by=None, reason="x")
    after = client.get(f"/orders/{order.token}/receipt/").content.decode()
    assert "The buyer gave trees back." in after
    assert "¥9.00" in after


@pytest.mark.django_db
def test_there_is_no_receipt_of_what_is_not_paid() -> None:
    factories.market(1)
    order = factories.order(1)
    for name in ("receipt/", "receipt.pdf"):
        assert Client().get(f"/orders/{order.token}/{name}").status_code == 404
    assert Client().get("/orders/nobody/receipt/").status_code == 404


@pytest.mark.django_db
def test_the_pdf_has_every_character(settings: Any) -> None:
    settings.RECEIPT_TITLE = "公益捐赠收据"
    factories.market(2)
    order = factories.paid_order(2, holder="㵲阳河𠮷日环保社")
    Voucher.objects.create(
        order=order,
        kind="donation",
        number="黔财 0001",
        issued_on="2026-11-20",
        attached_by=factories.user(roles.FINANCE),
    )
    found = receipts.receipt(order)
    assert found.payer == "㵲阳河𠮷日环保社"
    text = "".join(f"{label}{words}" for label, words in receipts._lines(found))
    assert "捐赠票据黔财 0001" in text
    assert fonts.missing(text + found.title) == ""
    answer = Client().get(f"/orders/{order.token}/receipt.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert "黔财 0001" in Client().get(f"/orders/{order.token}/receipt/").content.decode()


@pytest.mark.django_db
def test_finance_attaches_a_voucher_in_the_admin() -> None:
    factories.market(1)
    order, finance = factories.paid_order(1), factories.user(roles.FINANCE)
    client = banking.client_of(finance)
    data = {"order": order.pk, "kind": "invoice", "number": "26522000000012345678", "issued_on": "2026-11-20"}
    assert client.post("/admin/purchases/voucher/add/", data).status_code == 302
    voucher = Voucher.objects.get()
    assert (voucher.order, voucher.attached_by) == (order, finance)
    assert (
        banking.client_of(factories.user(roles.ADMINISTRATOR)).get("/admin/purchases/voucher/add/").status_code == 403
    )
    assert client.post(f"/admin/purchases/voucher/{voucher.pk}/change/", data).status_code == 403
