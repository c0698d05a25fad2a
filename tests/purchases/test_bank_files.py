"""Statements as banks give them, and files that are none: all of a file is taken in, or nothing of it."""

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.utils import timezone, translation

from carbonsink.errors import DomainError
from carbonsink.ledger.models import Entry
from purchases.models import BankFile, Transfer
from purchases.transfers.camt import read_camt
from purchases.transfers.importing import import_bank_file
from purchases.transfers.table_files import read_table
from tests import factories
from tests.purchases import banking
from tests.purchases.banking import camt, entry

TODAY = timezone.localdate()


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def rows(text: str, encoding: str = "utf-8") -> list[tuple[str, int, str, str]]:
    read = read_table("x.csv", text.encode(encoding)).rows
    return [(row.serial, row.fen, row.payer_name, row.remittance) for row in read]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize(
    "table",
    [
        '交易流水号,交易日期,收入金额,支出金额,对方户名,对方账号,摘要\nA1,{day},"1,234.50",,青山公司,123,碳汇 X\n',
        "流水号,入账日期,贷方发生额（元）,借方发生额（元）,对方名称,对方帐号,用途,附言\nA1,{slash},1234.5,0.00,青山公司,1,碳汇 X,\n",
        "户名,单株碳汇\n账号,520018\n\n交易日期\t,交易流水\t,发生额,借贷标志,对方户名,备注\n{dash},A1\t,1234.50,贷,青山公司,碳汇 X\n",
        "记账日期,核心流水号,贷方金额,币种,付款人名称,交易附言\n{dash},A1,￥1234.50,人民币,青山公司,碳汇 X\n合计,,1234.50,,,\n",
    ],
)
def test_columns_by_many_names_in_many_encodings(table: str, encoding: str) -> None:
    text = table.format(day=f"{TODAY:%Y%m%d}", slash=f"{TODAY:%Y/%m/%d}", dash=f"{TODAY:%Y-%m-%d}")
    assert rows(text, encoding) == [("A1", 123450, "青山公司", "碳汇 X")]


def test_a_workbook_is_read_like_a_csv_file() -> None:
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.append(["交易流水号", "交易日期", "收入金额", "对方户名", "摘要"])
    sheet.append(["A1", TODAY, 1234.5, "青山公司", "碳汇"])
    book.save(buffer)
    (row,) = read_table("x.xlsx", buffer.getvalue()).rows
    assert (row.serial, row.fen, row.booked_on) == ("A1", 123450, TODAY)


def test_what_goes_out_is_negative_and_so_is_a_credit_in_red() -> None:
    heading = "交易流水号,交易日期,收入金额,支出金额\n"
    day = f"{TODAY:%Y%m%d}"
    assert [fen for _s, fen, _n, _t in rows(f"{heading}A1,{day},,5.00\nA2,{day},-5.00,\nA3,{day},,-5.00\n")] == [
        -500,
        -500,
        500,
    ]


BAD_CELLS = [
    (0, "", "the bank's serial number is missing."),
    (0, "5.22E+17", "has lost its digits in a spreadsheet"),
    (0, "编号一", "is no serial number of a bank"),
    (0, "A" * 41, "is no serial number of a bank"),
    (1, "", "is no date"),
    (1, "20261345", "is no date"),
    (1, "yesterday", "is no date"),
    (1, f"{TODAY + timedelta(days=2):%Y%m%d}", "has not come yet"),
    (1, "20010101", "is too long ago"),
    (2, "", "the amount is missing."),
    (2, "0.00", "the amount is missing."),
    (2, "1,23.00", "is no amount"),
    (2, "1.005", "is no amount"),
    (2, "1e3", "is no amount"),
    (2, "NaN", "is no amount"),
    (2, "∞", "is no amount"),
    (2, "十元", "is no amount"),
    (2, "99999999999999", "is no amount"),
    (2, "9999999999999", "more money than there is"),
    (3, "1.00", "money cannot come in and go out in one booking."),
    (4, "USD", "this account is kept in yuan, not in USD."),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("place", "cell", "sentence"), BAD_CELLS)
def test_one_bad_cell_and_nothing_of_the_file_is_stored(place: int, cell: str, sentence: str) -> None:
    good = ["A1", f"{TODAY:%Y%m%d}", "3.00", "", "CNY"]
    bad = ["A2", *good[1:]]
    bad[place] = cell
    lines = ["交易流水号,交易日期,收入金额,支出金额,币种"]
    lines += [",".join(f'"{one}"' for one in line) for line in (good, bad)]
    content = "\n".join(lines).encode()
    with pytest.raises(DomainError) as refused:
        import_bank_file("x.csv", content, factories.user("finance"))
    assert refused.value.code == "bad_rows"
    (problem,) = refused.value.details["problems"]
    assert problem.startswith("Line 3: ")
    assert sentence in problem
    assert (Transfer.objects.count(), BankFile.objects.count(), Entry.objects.count()) == (0, 0, 0)


def test_one_number_for_two_bookings_is_refused_and_a_line_that_stands_twice_counts_once() -> None:
    line = banking.row(300, "x", serial="A1")
    with pytest.raises(DomainError) as refused:
        banking.check(line, banking.row(400, "x", serial="A1"))
    assert "the serial number A1 stands for another booking in line 2." in refused.value.details["problems"][0]
    assert len(banking.check(line, line)) == 1
    out, fee = (banking.row(fen, "x", serial="A2", out=True) for fen in (900, 5))
    assert [row.fen for row in banking.check(line, out, fee)] == [300, -900, -5]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no table at all",
        "交易日期,收入金额\n20261121,3.00\n".encode(),
        b"PK\x03\x04broken",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(content: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        read_table("x.csv", content)
    assert refused.value.code == "bad_file"


@pytest.mark.parametrize("version", ["02", "03", "04", "06", "08"])
def test_camt_of_many_versions(version: str) -> None:
    content = camt(
        entry(123450, "订单 A & B", "C1", version=version),
        entry(500, "手续费", "C2", version=version, side="DBIT", payer="银行"),
        version=version,
        opening=1000,
        closing=123950,
    )
    statement = read_camt("x.xml", content)
    assert statement.account == banking.ACCOUNT
    first, second = statement.rows
    assert (first.serial, first.fen, first.payer_name, first.payer_account) == (
        "C1", 123450, "贵州青山科技有限公司", "24020060",
    )  # fmt: skip
    assert (first.remittance, first.booked_on) == ("订单 A & B", TODAY)
    assert (second.fen, second.payer_name) == (-500, "银行")


def test_a_batched_entry_is_a_row_for_each_of_its_transactions() -> None:
    parts = "".join(
        f'<TxDtls><Refs><AcctSvcrRef>P{n}</AcctSvcrRef></Refs><Amt Ccy="CNY">{n}.00</Amt></TxDtls>' for n in (1, 2)
    )
    batch = (
        '<Ntry><Amt Ccy="CNY">3.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{TODAY}</Dt></BookgDt><NtryDtls>{parts}</NtryDtls></Ntry>"
    )
    assert [(row.serial, row.fen) for row in read_camt("x.xml", camt(batch)).rows] == [("P1", 100), ("P2", 200)]
    with pytest.raises(DomainError) as refused:
        read_camt("x.xml", camt(batch.replace("3.00", "4.00")))
    assert "are not together its amount" in refused.value.details["problems"][0]


def test_what_is_only_announced_is_passed_over() -> None:
    assert read_camt("x.xml", camt(entry(300, "x", "C1").replace("BOOK", "PDNG"))).rows == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"currency": "USD"}, "not in USD"),
        ({"amount": "-3.00"}, "is no amount"),
        ({"amount": "3,00"}, "is no amount"),
        ({"amount": "3.001"}, "is no amount"),
        ({"amount": ""}, "is no amount"),
        ({"side": "BOTH"}, "does not say whether the money came in"),
        ({"day": "soon"}, "is no date"),
        ({"serial": ""}, "serial number is missing"),
    ],
)
def test_a_bad_entry_is_named(changes: dict[str, Any], sentence: str) -> None:
    bad = entry(300, "x", changes.pop("serial", "C2"), **changes)
    with pytest.raises(DomainError) as refused:
        read_camt("x.xml", camt(entry(300, "x", "C1"), bad))
    (problem,) = refused.value.details["problems"]
    assert problem.startswith("Line 2: ")
    assert sentence in problem


@pytest.mark.parametrize(
    "content",
    [
        b"<Document/>",
        b"<html>",
        camt(version="99"),
        camt().replace(b"camt.053", b"camt.054"),
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><Document>&a;</Document>',
        camt(entry(300, "x", "C1"), closing=301),
    ],
)
def test_what_is_no_statement_or_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        read_camt("x.xml", content)
    assert refused.value.code == "bad_file"


@pytest.mark.django_db
def test_the_statement_of_another_account_is_refused(settings: Any) -> None:
    settings.TRANSFER_ACCOUNT_NUMBER = "5200 1880 0000 0000 026"
    finance = factories.user("finance")
    with pytest.raises(DomainError) as refused:
        import_bank_file("x.xml", camt(entry(300, "x", "C1"), account="1"), finance)
    assert refused.value.code == "bad_file"
    assert import_bank_file("x.xml", camt(entry(300, "x", "C1")), finance).new == 1


@pytest.mark.django_db
def test_the_page_shows_each_bad_line() -> None:
    content = f"{banking.HEADING}A1,{TODAY},3.00,,,,\n,{TODAY},x,,,,\n".encode()
    answer = banking.upload(banking.client_of(), content)
    page = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing of this file was stored." in page
    assert "Line 3: the bank&#x27;s serial number is missing." in page
    assert not Transfer.objects.exists()
