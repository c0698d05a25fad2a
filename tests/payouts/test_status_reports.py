"""pain.002, camt.053 and camt.054 as banks write them, and files that are none: exact values, or a sentence."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from django.utils import timezone, translation

from carbonsink.errors import DomainError
from payouts.banks import file_bank
from payouts.banks.base import Movement, Page
from payouts.models import Batch
from tests.payouts import filing
from tests.purchases.banking import camt, entry

ACCOUNT = "5200188000000000026"
BATCH = cast(Batch, type("B", (), {"number": "20261122023000abcdef"}))
A, B, C = "a" * 32, "b" * 32, "c" * 32
TODAY = timezone.localdate()


@pytest.fixture(autouse=True)
def english(settings: Any) -> Iterator[None]:
    settings.PAIN001_DEBTOR_ACCOUNT = settings.DAIFA_ACCOUNT = ACCOUNT
    with translation.override("en"):
        yield


def read(content: bytes, code: str = "pain001") -> Page:
    return file_bank(code).read("x.xml", content)


def said(page: Page) -> list[tuple[str, str, int | None]]:
    return [(one.out_no, one.state, one.fen) for one in page.reports]


@pytest.mark.parametrize("kind", ["03", "08", "10", "12", "14"])
@pytest.mark.parametrize(
    ("status", "state"),
    [("ACCP", "accepted"), ("ACSP", "accepted"), ("PDNG", "accepted"), ("ACSC", "succeeded"), ("RJCT", "failed")],
)
def test_statuses_of_transfers(kind: str, status: str, state: str) -> None:
    page = read(filing.report(BATCH, (A, status), kind=kind, fen={A: 305}))
    assert said(page) == [(A, state, 305)]


def test_accc_is_an_arrival_and_a_reason_is_kept() -> None:
    page = read(filing.report(BATCH, (A, "ACCC"), (B, "RJCT:AC04"), (C, "RJCT:AM04")))
    assert said(page) == [(A, "succeeded", None), (B, "failed", None), (C, "failed", None)]
    assert [one.reason for one in page.reports] == ["", "AC04", "AM04"]
    # Only the second one lies with the account.
    assert [one.account_at_fault for one in page.reports] == [False, True, False]


@pytest.mark.parametrize(
    ("group", "state"),
    [
        ("ACCP", "accepted"), ("ACSC", "settled"), ("RJCT:FF01", "refused"), ("RJCT:DU01", "duplicate"),
        ("RJCT:AM05", "duplicate"), ("PART", ""), ("", ""),
    ],
)  # fmt: skip
def test_what_is_said_of_the_whole_file(group: str, state: str) -> None:
    page = read(filing.report(BATCH, group=group, kind="03", count=2, total="7.05"))
    assert page.reports == ()
    assert page.file
    (batch,) = page.file.batches
    assert (batch.number, batch.state, batch.payouts, batch.fen) == (BATCH.number, state, 2, 705)


def test_a_transfer_refused_as_known_has_not_failed() -> None:
    page = read(filing.report(BATCH, (A, "RJCT:DU03"), (B, "ACSC")))
    assert said(page) == [(B, "succeeded", None)]
    assert page.file
    assert page.file.doubled == (A,)
    page = read(filing.report(BATCH, (A, "RJCT:XX01"), group="RJCT:DU01"))
    assert page.reports == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (filing.report(BATCH, (A, "ACSC"), (A, "RJCT"), kind="08"), "Nothing of this file"),
        (filing.report(BATCH, (A, "WHAT"), kind="08"), "Nothing of this file"),
        (filing.report(BATCH, ("a b", "ACSC"), kind="08"), "Nothing of this file"),
        (filing.report(BATCH, (A, "ACSC"), group="RJCT", kind="08"), "contradicts itself"),
        (filing.report(BATCH, (A, "ACSC"), number="a b c", kind="08"), "which file it is about"),
        (filing.report(BATCH, (A, "ACSC"), count="two", kind="08"), "is no amount"),
        (filing.report(BATCH, (A, "ACSC"), total="7.051", kind="08"), "is no amount"),
        (filing.report(BATCH, (A, "ACSC"), total="NaN", kind="08"), "is no amount"),
        (filing.report(BATCH, (A, "WHAT!")), "does not keep to its schema"),
        (filing.report(BATCH, (A, "ACSC"), total="7.051x"), "does not keep to its schema"),
        (filing.report(BATCH, (A, "ACSC"), kind="02"), "no status report of the kind"),
        (filing.report(BATCH, (A, "ACSC"), kind="15"), "no status report of the kind"),
        (filing.report(BATCH, (A, "ACSC"), kind="08").replace(b'"CNY"', b'"USD"'), ""),
        (filing.report(BATCH, (A, "ACSC"), head='<!DOCTYPE a [<!ENTITY b "c">]>'), "damaged"),
        (filing.report(BATCH, (A, "ACSC"), head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "damaged"),
        (b"", "damaged"),
        (b"<Document/>", "no answer of a bank"),
        ("<x>半".encode()[:-1], "damaged"),
        ("ÿþ<".encode("utf-16"), "damaged"),
        (b"<a>" * 100_000, "damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_believed_is_refused_whole(content: bytes, sentence: str) -> None:
    if not sentence:
        assert said(read(content)) == [(A, "succeeded", None)]  # No amount stands there, so no currency either.
        return
    with pytest.raises(DomainError, match=sentence):
        read(content)


@pytest.mark.parametrize("bad", ["3.005", "-3.00", "1e3", "３.00", "", "99999999999999.00"])
def test_amounts_are_yuan_with_two_decimals_or_nothing(bad: str) -> None:
    content = filing.report(BATCH, (A, "ACSC"), fen={A: 300}, kind="08")
    assert said(read(content)) == [(A, "succeeded", 300)]
    with pytest.raises(DomainError):
        read(content.replace(b">3.00<", f">{bad}<".encode()))
    with pytest.raises(DomainError):
        read(content.replace(b'"CNY"', b'"USD"'))


def test_broken_files_end_as_sentences() -> None:
    """Truncated and altered at random places: read, or refused with a sentence; nothing else."""
    seed = 20261121
    chance = random.Random(seed)
    samples = [
        filing.report(BATCH, (A, "ACSC"), (B, "RJCT:AC04"), fen={A: 300}, kind=kind, group="PART", count=2)
        for kind in ("03", "08", "12")
    ]
    samples.append(camt(entry(300, "x", "S1"), entry(200, "y", "S2", side="DBIT"), opening=0, closing=100))
    refused = 0
    for number in range(3000):
        content = bytearray(chance.choice(samples))
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(content))
            content[place : place + chance.choice([0, 1, 1, 40])] = chance.randbytes(chance.choice([0, 1, 3]))
        try:
            read(bytes(content[: chance.choice([len(content), chance.randrange(len(content))])]))
        except DomainError as error:
            refused += 1
            assert error.message, (seed, number)
    assert refused > 1000


def movements(content: bytes) -> list[tuple[str, int, str]]:
    return [(one.serial, one.fen, one.out_no) for one in read(content).movements]


def numbered(fen: int, out_no: str, serial: str, **more: Any) -> str:
    text = entry(fen, "单株碳汇收益", serial, version="08", **more)
    return text.replace("<TxDtls>", f"<TxDtls><Refs><EndToEndId>{out_no}</EndToEndId></Refs>")


def test_a_statement_becomes_movements_with_our_numbers() -> None:
    content = camt(
        numbered(300, A, "S3", payer="滚小修").replace("</TxDtls>", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>"),
        numbered(300, A, "S1", side="DBIT", payer="滚小修"),
        numbered(5000, "NOTPROVIDED", "S2"),
        version="08", opening=1000, closing=6000,
    )  # fmt: skip
    page = read(content)
    assert movements(content) == [("S1", -300, A), ("S3", 300, A), ("S2", 5000, "")]
    assert page.movements[1].remittance == "AC04 / 单株碳汇收益"
    day = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=timezone.get_current_timezone())
    assert page.movements[0] == Movement("S1", day, -300, "滚小修", "单株碳汇收益", A, "S1")
    assert page.movements[0].booked_at.astimezone(UTC).hour == 16
    assert read(content, "daifa").movements == page.movements


def test_a_notification_of_single_bookings_has_the_same_serials() -> None:
    statement = camt(numbered(300, A, "S1", side="DBIT"), version="08")
    notice = statement.replace(b"camt.053", b"camt.054").replace(b"BkToCstmrStmt", b"BkToCstmrDbtCdtNtfctn")
    notice = notice.replace(b"<Stmt>", b"<Ntfctn>").replace(b"</Stmt>", b"</Ntfctn>")
    assert read(notice).movements == read(statement).movements
    assert read(notice).file.kind == "camt.054"  # type: ignore[union-attr]


def test_an_entry_of_a_whole_file_names_the_file() -> None:
    number = "20261122023000abcdef012345"
    text = entry(700, "代发", "S9", version="08", side="DBIT")
    for name in ("PmtInfId", "MsgId"):
        whole = text.replace("<TxDtls>", f"<Btch><{name}>{number}</{name}></Btch><TxDtls>")
        assert movements(camt(whole, version="08")) == [("S9", -700, number)]
        single = whole.replace("<TxDtls>", f"<TxDtls><Refs><EndToEndId>{A}</EndToEndId></Refs>")
        assert movements(camt(single, version="08")) == [("S9", -700, A)]


def test_entries_of_many_transactions_and_without_a_bank_reference() -> None:
    two = (
        f"<TxDtls><Refs><EndToEndId>{A}</EndToEndId></Refs><Amt Ccy='CNY'>1.00</Amt></TxDtls>"
        f"<TxDtls><Refs><EndToEndId>{B}</EndToEndId></Refs><Amt Ccy='CNY'>2.00</Amt></TxDtls>"
    )
    text = entry(300, "", "S9", version="08", side="DBIT")
    text = text[: text.index("<TxDtls>")] + two + "</NtryDtls></Ntry>"
    assert movements(camt(text, version="08")) == [("S9-1", -100, A), ("S9-2", -200, B)]
    with pytest.raises(DomainError):
        movements(camt(text.replace(">2.00<", ">2.01<"), version="08"))
    nameless = text.replace("<AcctSvcrRef>S9</AcctSvcrRef>", "<NtryRef>7</NtryRef>")
    with pytest.raises(DomainError):
        movements(camt(nameless, version="08"))
    of_day = camt(nameless, version="08").replace(b"<Stmt>", b"<Stmt><Id>D1</Id>")
    assert movements(of_day) == [("D1:7-1", -100, A), ("D1:7-2", -200, B)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (camt(numbered(300, A, "S1"), version="08", account="1"), "another account"),
        (camt(numbered(300, A, "S1"), version="08", opening=0, closing=301), "do not follow"),
        (camt(numbered(300, A, "S1"), numbered(300, B, "S1"), version="08"), "Nothing of this file"),
        (camt(numbered(300, A, "S1", currency="USD"), version="08"), "Nothing of this file"),
        (camt(numbered(300, A, "S1", amount="3.001"), version="08"), "Nothing of this file"),
        (camt(numbered(300, A, "S1", side="WHAT"), version="08"), "Nothing of this file"),
        (camt(numbered(300, A, "S1", day="2026-02-30"), version="08"), "Nothing of this file"),
        (b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"/>', "no statement"),
    ],
)
def test_statements_that_do_not_fit_are_refused_whole(content: bytes, sentence: str) -> None:
    with pytest.raises(DomainError, match=sentence):
        read(content)
