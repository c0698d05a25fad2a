"""Files that a bank debits as a whole: with the stand-in, and as rows and results by hand."""

import itertools
from datetime import datetime

from django.utils import timezone

from payouts import batches, daily, statements
from payouts.banks.base import Movement, Page, ReportFile, TransferReport
from payouts.models import Batch, Payout, StatementRow
from payouts.runs import run_payouts
from tests.payouts import money
from tests.payouts.filing import FileBank

_serials = itertools.count(1)


def whole(bank: FileBank, back: str) -> None:
    """The bank debits files as a whole from now on, and gives back what it could not pay: each, or together."""
    bank.client.control("POST", "whole-files", {"back": back})


def closed(bank: FileBank, payout: Payout) -> None:
    bank.client.control("POST", "accounts", {"account": payout.account.number, "state": "closed"})


def kinds() -> list[tuple[str, int]]:
    """The statement's rows without the sponsor's, oldest first."""
    rows = StatementRow.objects.exclude(kind="sponsor").order_by("pk")
    return list(rows.values_list("kind", "fen"))


def written(*amounts: int) -> Batch:
    """A file of bulk payments of these amounts that was handed over, and of which the bank has said nothing yet."""
    households = money.households(len(amounts))
    money.settle(sum(amounts), "daifa")
    money.owe(dict(zip(households, amounts, strict=True)))
    run_payouts()
    batches.send_approved("daifa")
    return Batch.objects.get()


def row(code: str, fen: int, *, named: str = "", said: str = "代发", at: datetime | None = None) -> StatementRow:
    """A row as it is read from the statement."""
    serial = f"W{next(_serials)}"
    movement = Movement(serial, at or timezone.now(), fen, "代发过渡户", said, named, serial)
    statements.take_in(code, Page((movement,), ""))
    return StatementRow.objects.get(serial=serial)


def told(code: str, payout: Payout, state: str) -> None:
    """The bank's result of one payout."""
    report = TransferReport(payout.out_no, state, "B1", reason="said")  # type: ignore[arg-type]
    content = f"{payout.pk} {state}".encode()
    statements.take_in(code, Page((), "", (report,), ReportFile(f"{payout.pk}-{state}", content, "daifa")))


def read(code: str) -> None:
    """A statement's file is read, with nothing of ours in it."""
    statements.take_in(code, Page((), "", (), ReportFile("empty.xml", b"empty", "camt.053")))


def publish() -> None:
    """Today's figures; raises unless they are in balance."""
    daily.publish(timezone.localdate())
