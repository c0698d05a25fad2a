"""代发: the table as it is written, its result file as it is read, and the whole way through a front-end machine."""

import csv
import io
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from payouts import batches, tasks
from payouts.banks import file_bank
from payouts.banks.base import BankError, Instruction, Page, Transfer
from payouts.models import Alert, Attempt, BankReport, Batch, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money, whole
from tests.payouts.filing import FileBank, states
from tests.payouts.test_initiations import CNAPS, FIRST

AT = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
HEADING = "序号,收款人姓名,收款账号,金额,处理状态,失败原因,银行流水号,备注\r\n"
A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def written(*transfers: Transfer) -> bytes:
    return file_bank("daifa").frozen(Instruction("20261122023000abcdef", AT, transfers))


def read(text: str, encoding: str = "gb18030") -> Page:
    return file_bank("daifa").read("结果.csv", text.encode(encoding))


def said(page: Page) -> list[tuple[str, str, int | None, str]]:
    return [(one.out_no, one.state, one.fen, one.reason) for one in page.reports]


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-8", "utf-8-sig"])
def test_the_table_has_the_banks_columns_in_its_encoding(settings: Any, encoding: str) -> None:
    settings.DAIFA_ENCODING = encoding
    content = written(FIRST, replace(FIRST, out_no=B, fen=123456789, bank_code=CNAPS[3]))
    rows = list(csv.reader(io.StringIO(content.decode(encoding))))
    assert rows == [
        ["序号", "收款人姓名", "收款账号", "开户行联行号", "金额", "用途", "备注"],
        ["1", "滚小修", "6217000000000000019", "102100000021", "3.00", "单株碳汇收益", A],
        ["2", "滚小修", "6217000000000000019", CNAPS[3], "1234567.89", "单株碳汇收益", B],
    ]
    assert content == written(FIRST, replace(FIRST, out_no=B, fen=123456789, bank_code=CNAPS[3]))
    assert content.count(b"\r\n") == 3


def test_columns_are_a_setting(settings: Any) -> None:
    settings.DAIFA_COLUMNS = {"out_no": "流水号", "yuan": "代发金额", "account_number": "卡号"}
    rows = list(csv.reader(io.StringIO(written(FIRST).decode("gb18030"))))
    assert rows == [["流水号", "代发金额", "卡号"], [A, "3.00", "6217000000000000019"]]


def test_a_column_that_there_is_not_makes_no_file(settings: Any) -> None:
    settings.DAIFA_COLUMNS = {"out_no": "流水号", "id_number": "身份证号"}
    with pytest.raises(BankError, match="unsent: NO_COLUMN id_number"):
        written(FIRST)


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", " =", "＝", "－"])
def test_no_cell_is_a_formula(sign: str) -> None:
    sentence = file_bank("daifa").unfit(replace(FIRST, holder=f"{sign}cmd|' /C calc'!A0"))
    assert "formula" in sentence


def test_a_character_that_the_encoding_lacks_is_named(settings: Any) -> None:
    rare = replace(FIRST, holder="滚𠮷")
    assert file_bank("daifa").unfit(rare) == ""  # GB 18030 has them all.
    assert "滚𠮷".encode("gb18030") in written(rare)
    settings.DAIFA_ENCODING = "gbk"
    assert file_bank("daifa").unfit(rare) == "The bank's file (gbk) cannot hold the character “𠮷”."
    assert "𠮷" in file_bank("daifa").unfit(rare)
    for bad in ("a\nb", "a\tb", "a\x00", "", "名" * 61, "a\u2028b"):
        assert "does not fit" in file_bank("daifa").unfit(replace(FIRST, holder=bad))


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig"])
def test_a_result_file_says_what_became_of_each(encoding: str) -> None:
    page = read(
        "批次号,20261122\r\n合计,3笔\r\n" + HEADING + f"1,滚修,6217\t,3.00,成功,,B77,{A}\r\n"
        f'2,王五,6218\t,"1,234.50",失败,户名不符,,{B}\r\n3,李四,6219,¥5.10,处理中,,,{C}\t\r\n,,,,,,,\r\n合计,,,1242.60,,,,\r\n',
        encoding,
    )
    assert said(page) == [
        (A, "succeeded", 300, ""), (B, "failed", 123450, "户名不符"), (C, "accepted", 510, ""),
    ]  # fmt: skip
    assert page.reports[0].bank_reference == "B77"
    assert [one.account_at_fault for one in page.reports] == [False, True, False]


def test_columns_and_words_of_the_result_are_settings(settings: Any) -> None:
    settings.DAIFA_RESULT_COLUMNS = {"out_no": "商户流水", "state": "结果"}
    settings.DAIFA_SUCCESS_WORDS, settings.DAIFA_FAILURE_WORDS = ["S"], ["F"]
    page = read(f"商户流水,结果\n{A},S\n{B},F\n")
    assert said(page) == [(A, "succeeded", None, ""), (B, "failed", None, "")]


@pytest.mark.parametrize("why", ["重复提交", "该笔已处理，请勿再次发送", "流水号已存在"])
def test_a_row_refused_as_known_has_not_failed(why: str) -> None:
    page = read(HEADING + f"1,滚修,6217,3.00,失败,{why},,{A}\r\n2,王五,6218,4.00,失败,户名不符,,{B}\r\n")
    assert said(page) == [(B, "failed", 400, "户名不符")]
    assert page.file
    assert page.file.doubled == (A,)
    # An arrival whose remark has such a word is one.
    assert said(read(HEADING + f"1,滚修,6217,3.00,成功,已处理,,{A}\r\n")) == [(A, "succeeded", 300, "已处理")]


def test_the_words_for_what_the_bank_had_before_are_a_setting(settings: Any) -> None:
    settings.DAIFA_FAILURE_WORDS, settings.DAIFA_DUPLICATE_WORDS = ["F", "D"], ["D", "E07"]
    page = read(HEADING + f"1,x,6,3.00,D,,,{A}\r\n2,x,6,3.00,F,E07,,{B}\r\n3,x,6,3.00,F,重复,,{C}\r\n")
    assert said(page) == [(C, "failed", 300, "重复")]
    assert page.file
    assert page.file.doubled == (A, B)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADING + f"1,滚修,6217,3.00,大概成功,,B77,{A}\r\n", "Nothing of this file"),
        (HEADING + f"1,滚修,6217,3.005,成功,,B77,{A}\r\n", "Nothing of this file"),
        (HEADING + f"1,滚修,6217,-3.00,成功,,B77,{A}\r\n", "Nothing of this file"),
        (HEADING + f"1,x,6,3.00,成功,,,{A}\r\n2,x,6,3.00,失败,,,{A}\r\n", "Nothing of this file"),
        ("序号,收款人姓名\r\n1,滚修\r\n", "it is no result file"),
        ("", "is empty"),
        ("\r\n \r\n", "is empty"),
        (HEADING + f"1,滚修,6217,3.00,成\0功,,B77,{A}\r\n", "damaged"),
        ('"' * 7 + "x" * 200_000, "damaged"),
    ],
)
def test_a_result_that_cannot_be_understood_is_refused_whole(text: str, sentence: str) -> None:
    with pytest.raises(DomainError, match=sentence):
        read(text)


def test_broken_results_end_as_sentences() -> None:
    seed = 20261122
    chance = random.Random(seed)
    sample = (HEADING + f"1,滚修,6217,3.00,成功,,B77,{A}\r\n2,王五,6218,4.00,失败,户名不符,,{B}\r\n").encode("gb18030")
    refused = 0
    for number in range(3000):
        content = bytearray(sample)
        for _ in range(chance.randrange(1, 5)):
            place = chance.randrange(len(content))
            content[place : place + chance.choice([0, 1, 9])] = chance.randbytes(chance.choice([0, 1, 4]))
        try:
            file_bank("daifa").read("x.csv", bytes(content[: chance.randrange(len(content) + 1)]))
        except DomainError as error:
            refused += 1
            assert error.message, (seed, number)
    assert refused > 500


@pytest.mark.django_db(transaction=True)
def test_bulk_payments_arrive_through_the_front_end_machine(daifa_bank: FileBank) -> None:
    payouts = daifa_bank.approved(300, 400, 500)
    daifa_bank.client.control("POST", "accounts", {"account": payouts[1].account.number, "state": "unknown"})
    tasks.sweep()
    batch = Batch.objects.get()
    assert (batch.bank, batch.state, daifa_bank.files()) == ("daifa", "delivered", [batch.name])
    daifa_bank.exchange()
    for _ in range(2):
        tasks.sweep()
    assert states() == ["succeeded", "failed", "succeeded"]
    assert BankReport.objects.filter(kind="daifa").count() == 1
    assert Attempt.objects.count() == 3
    daifa_bank.agrees()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("daifa")
def test_a_file_handed_in_twice_fails_nothing_whichever_result_comes_first(settings: Any) -> None:
    settings.DAIFA_OUT_DIR = ""
    batch = whole.written(300, 400)
    person = factories.user(roles.FINANCE)
    for _ in range(2):
        batches.download(batch, by=person)
    batches.say_delivered(batch, by=person)
    first, second = Payout.objects.order_by("pk")

    def bring(state: str, why: str) -> dict[str, int]:
        rows = [f"1,{one.fen},{state},{why},{one.out_no}\r\n" for one in (first, second)]
        text = "序号,分,处理状态,失败原因,备注\r\n" + "".join(rows)
        outcome = batches.read_file("daifa", "result.csv", text.encode("gb18030"), by=person)
        return {name: count for name, count in vars(outcome).items() if count}

    assert bring("失败", "重复提交") == {"doubtful": 2}
    assert states() == ["sending", "sending"]
    assert [money.owed_fen(one.household) for one in (first, second)] == [0, 0]
    raised = Alert.objects.filter(state="open").order_by("pk")
    assert list(raised.values_list("kind", "about", "stops")) == [
        ("report_contradicts", one.out_no, True) for one in (first, second)
    ]
    money.owe({first.household: 50})
    money.settle(50, "daifa")
    assert run_payouts().payouts == 0
    assert bring("成功", "") == {"arrived": 2}
    assert states() == ["succeeded", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_a_name_the_encoding_lacks_is_held_back_alone(daifa_bank: FileBank, settings: Any) -> None:
    settings.DAIFA_ENCODING = "gbk"
    rare = factories.household(head_name="滚𠮷")
    factories.account(rare)
    (other,) = money.households(1)
    daifa_bank.fund(700)
    money.owe({rare: 300, other: 400})
    tasks.run_payouts()
    for _ in range(2):
        tasks.sweep()
    assert {household: state for household, _, state in money.payouts()} == {rare.pk: "approved", other.pk: "sending"}
    alert = Alert.objects.get(state="open")
    assert (alert.kind, alert.stops) == ("payout_does_not_fit", False)
    assert "𠮷" in alert.text
    assert b"?" not in Batch.objects.get().data
    settings.DAIFA_ENCODING = "gb18030"
    tasks.sweep()
    daifa_bank.exchange()
    tasks.sweep()
    assert set(states()) == {"succeeded"}
    daifa_bank.agrees()
