"""Files as people send them, and as attackers do."""

import io
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from carbonsink.errors import DomainError
from carbonsink.tables import open_table
from carbonsink.tables.cells import Unreadable, parse_date, parse_decimal, plain
from tests.trees.bulk import write_csv, write_xlsx

HEADING = ["农户编号", "树种", "胸径(cm)"]
ROW = ["522633102202001", "杉木", "7.5"]


@pytest.fixture(autouse=True)
def english() -> Any:
    with translation.override("en"):
        yield


def rows_of(path: Path, **options: str) -> list[tuple[int, list[str]]]:
    with path.open("rb") as file:
        return list(open_table(file, path.name, **options).read())


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(DomainError) as refused:
        rows_of(path, **options)
    assert refused.value.code == "bad_file"
    return refused.value.message


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
)  # fmt: skip
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_are_found_out(encoding: str, separator: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", HEADING, ROW, encoding=encoding, separator=separator)
    assert rows_of(path) == [(1, HEADING), (2, ROW)]


def test_a_long_file_is_utf_8_only_if_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"name,tree\n" + b"x,y\n" * 600_000 + "滚,杉木\n".encode("gb18030"))
    assert rows_of(path)[-1] == (600_002, ["滚", "杉木"])


def test_characters_of_gb18030_alone_are_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", HEADING, ["㑇𠮷", "杉木", "1"], encoding="gb18030")
    assert rows_of(path)[1] == (2, ["㑇𠮷", "杉木", "1"])


def test_an_encoding_can_be_named_and_must_fit(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["樹種"], ["杉木"], encoding="big5")
    assert rows_of(path, encoding="big5") == [(1, ["樹種"]), (2, ["杉木"])]
    assert "The encoding of a.csv is not known." in refusal(path, encoding="klingon")
    path.write_bytes(b"\xff\xff\x81\xff" * 10)
    assert "Save it again as “CSV UTF-8”, or name it with --encoding." in refusal(path)


def test_quotes_line_breaks_and_empty_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\r\n"x, y","line\nbreak"\r\n\r\n,\r\nz,"say ""ha"""\r\n')
    assert rows_of(path) == [(1, ["a", "b"]), (3, ["x, y", "line\nbreak"]), (6, ["z", 'say "ha"'])]
    path.write_text('a,b\n"never closed,' + "x" * 200_000)
    assert 'is not CSV: a quotation mark (") is probably not closed.' in refusal(path)
    path.write_bytes(b"")
    assert refusal(path) == "a.csv is empty."


def test_a_workbook_reads_like_a_file_of_text(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "a.xlsx", HEADING, [522633102202001, "杉木", 7.5], [None, None, None], ["x", True, date(2026, 3, 5)]
    )
    assert rows_of(path) == [(1, HEADING), (2, ["522633102202001", "杉木", "7.5"]), (4, ["x", "True", "2026-03-05"])]


def test_long_numbers_of_a_workbook_show_that_digits_are_lost(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "a.xlsx", ["身份证号"], [522633190001011234], [float(522633190001011234)], ["522633190001011234"]
    )
    assert [cells for _line, cells in rows_of(path)][1:] == [
        ["5.22633190001011E+17"], ["5.22633190001011E+17"], ["522633190001011234"],
    ]  # fmt: skip


def test_cells_merged_downwards_count_for_each_row(tmp_path: Path) -> None:
    def merge(sheet: Any) -> None:
        sheet.merge_cells("A2:A4")
        sheet.merge_cells("A1:C1")

    path = write_xlsx(
        tmp_path / "a.xlsx",
        ["登记表", None, None],
        ["001", "杉木", "7"],
        [None, "杉木", "8"],
        [None, "柏木", "9"],
        [None, "柏木", "1"],
        prepare=merge,
    )
    assert [cells for _line, cells in rows_of(path)] == [
        ["登记表"], ["001", "杉木", "7"], ["001", "杉木", "8"], ["001", "柏木", "9"], ["", "柏木", "1"],
    ]  # fmt: skip


def test_formulas_count_by_their_value_and_those_without_one_are_seen(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ["胸围", "胸径"], ["31.4", "=A2/3.14"], ["62.8", "=A3/3.14"])
    assert rows_of(path)[1:] == [(2, ["31.4", "="]), (3, ["62.8", "="])]
    with pytest.raises(Unreadable) as refused:
        plain("=")
    assert refused.value.code == "formula"
    computed = rewritten(
        path,
        "xl/worksheets/sheet1.xml",
        lambda xml: (
            xml.replace(b"<v />", b"<v>10</v>").replace(b"<v></v>", b"<v>10</v>").replace(b"<v/>", b"<v>10</v>")
        ),
    )
    assert rows_of(computed)[1:] == [(2, ["31.4", "10"]), (3, ["62.8", "10"])]


def rewritten(path: Path, part: str, change: Any) -> Path:
    """The workbook with one part changed."""
    made = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == part else content)
    return made


def test_a_sheet_is_chosen_by_name_and_is_a_file_of_its_own(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ["a"], prepare=lambda sheet: sheet.parent.create_sheet("树").append(["b"]))
    assert rows_of(path) == [(1, ["a"])]
    assert rows_of(path, sheet="树") == [(1, ["b"])]
    assert refusal(path, sheet="x") == "a.xlsx has no sheet “x”; it has: Sheet, 树."
    with path.open("rb") as file:
        assert open_table(file, "a").sha256 == open_table(file, "b", sheet="Sheet").sha256
        assert open_table(file, "a").sha256 != open_table(file, "a", sheet="树").sha256


def test_old_and_protected_workbooks_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000)
    assert refusal(path) == "a.xls is an old Excel file (.xls). Open it and save it as .xlsx or as CSV UTF-8."
    path.write_bytes(path.read_bytes() + "EncryptedPackage".encode("utf-16-le"))
    assert refusal(path) == "a.xls is protected by a password. Open it, take the password away and save it again."
    good = write_xlsx(tmp_path / "a.xlsx", ["a"]).read_bytes()
    marked = good.replace(b"PK\x01\x02", b"PK\x01\x02", 1)
    place = marked.index(b"PK\x01\x02") + 8
    path.write_bytes(marked[:place] + bytes([marked[place] | 1]) + marked[place + 1 :])
    assert "is protected by a password" in refusal(path)


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"]
)
@pytest.mark.parametrize(
    "declared",
    [
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
    ],
)
def test_entities_and_dtds_are_refused_wherever_they_stand(part: str, declared: bytes, tmp_path: Path) -> None:
    def declare(xml: bytes) -> bytes:
        start = xml.index(b"?>") + 2 if xml.startswith(b"<?xml") else 0
        return xml[:start] + declared + xml[start:]

    path = rewritten(write_xlsx(tmp_path / "a.xlsx", ["a"]), part, declare)
    assert "declares XML entities, which no spreadsheet does" in refusal(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ["a"])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/media/x.bin", "w") as part:
        for _ in range(64):
            part.write(b"\0" * 2**20)
    assert "unpacks to far more than a table needs" in refusal(path)


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ["a"])
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(1_001):
            archive.writestr(f"x/{number}", b"")
    assert "unpacks to far more than a table needs" in refusal(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 and nothing else", b"PK\x03\x04" + b"\0" * 500]
)  # fmt: skip
def test_damaged_workbooks_are_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    assert refusal(path) == "a.xlsx is damaged, or no Excel workbook (.xlsx). Open it and save it again."


def test_any_cut_workbook_is_one_sentence(tmp_path: Path) -> None:
    whole = write_xlsx(tmp_path / "a.xlsx", HEADING, *[ROW] * 50).read_bytes()
    for cut in range(10, len(whole) - 1, 211):
        path = tmp_path / "cut.xlsx"
        path.write_bytes(whole[:cut])
        assert "is damaged, or no Excel workbook" in refusal(path)
    other = tmp_path / "other.xlsx"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    assert "is damaged, or no Excel workbook" in refusal(other)
    for part in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"):
        broken = rewritten(tmp_path / "a.xlsx", part, lambda xml: xml[: len(xml) // 2])
        assert "is damaged, or no Excel workbook" in refusal(broken)


@pytest.mark.parametrize(
    "text", ["2026-03-05", "2026/3/5", "2026.3.5", "2026年3月5日", "20260305", "46086", "46086.5", "2026-03-05 14:30:00"]
)  # fmt: skip
def test_dates_in_all_their_forms(text: str) -> None:
    assert parse_date(plain(text)) == date(2026, 3, 5)
    assert parse_date(plain(text.translate(str.maketrans("0123456789", "０１２３４５６７８９")))) == date(2026, 3, 5)


@pytest.mark.parametrize("text", ["2026-02-30", "5.3.2026", "2026", "03/05/2026", "昨天", "2026-13-01", "999999999"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_date(plain(text))
    assert refused.value.code == "not_a_date"


@pytest.mark.parametrize(
    ("text", "value"),
    [("7.5", "7.5"), ("７．５", "7.5"), ("7,5", "7.5"), ("7.5cm", "7.5"), ("7.5 厘米", "7.5"), ("7.499999999999999", "7.5"),
     ("\u200b7.5\ufeff", "7.5"), ("7.50E+00", "7.5"), ("-3", "-3.0"), ('="7.5"', "7.5")],
)  # fmt: skip
def test_numbers_in_all_their_forms(text: str, value: str) -> None:
    assert parse_decimal(plain(text), 1, ("cm", "厘米")) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [("1,234", "ambiguous_number"), ("1,234.5", "ambiguous_number"), ("七", "not_a_number"), ("NaN", "not_a_number"),
     ("Infinity", "not_a_number"), ("1_0", "not_a_number"), ("1E400000000", "not_a_number"), ("9" * 50, "not_a_number")],
)  # fmt: skip
def test_what_is_no_number(text: str, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_decimal(plain(text), 1)
    assert refused.value.code == code


def test_a_hundred_thousand_rows_of_a_workbook(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for number in range(100_000):
        sheet.append([number, "杉木"])
    buffer = io.BytesIO()
    book.save(buffer)
    rows = open_table(buffer, "large.xlsx").read()
    assert sum(len(cells) for _line, cells in rows) == 200_000
