"""A bank that takes files: the stand-in with its front-end machine, and files as banks write them."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from django.utils import timezone

from carbonsink.money import yuan
from carbonsink.standins import keys
from payouts import tasks
from payouts.models import Batch, Payout
from payouts.runs import run_payouts
from tests.payouts import money
from tests.processes import Fork
from tests.purchases import books
from tests.standins.clients import BankClient

ACCOUNT = keys.ESCROW_ACCOUNT
_numbers = itertools.count(1)


class FileBank:
    """The stand-in bank, exchanging files in `folder`; `code` is what the platform speaks to it."""

    def __init__(self, code: str, folder: Path, client: BankClient) -> None:
        self.code, self.folder, self.client = code, folder, client
        self.out, self.back = folder / "out", folder / "in"

    def exchange(self) -> dict[str, Any]:
        """Has the front-end machine look at its folder."""
        return dict(self.client.control("POST", "exchange"))

    def fund(self, fen: int) -> None:
        """Has the sponsor pay in, and the statement's file read."""
        from django.conf import settings

        credit = {"fen": fen, "counterparty_name": settings.SPONSOR_NAMES[0], "remittance": "拨款"}
        self.client.control("POST", "credits", {**credit, "reference": f"file-credit{next(_numbers)}"})
        self.exchange()
        tasks.read_statement(self.code)

    def approved(self, *amounts: int) -> list[Payout]:
        """Payouts that are to be sent, with the money for them."""
        households = money.households(len(amounts))
        self.fund(sum(amounts))
        money.owe(dict(zip(households, amounts, strict=True)))
        run_payouts()
        return list(Payout.objects.order_by("pk"))

    def lay(self, name: str, content: bytes, *, age_seconds: int = 600) -> Path:
        """Lays a file into the folder of the bank's answers, as if it had been there for a while."""
        path = self.back / name
        path.write_bytes(content)
        at = path.stat().st_mtime - age_seconds
        os.utime(path, (at, at))
        return path

    def files(self) -> list[str]:
        """All that lies in the folder of what goes out, hidden files too."""
        return sorted(path.name for path in self.out.iterdir())

    def agrees(self) -> None:
        """The bank's own book has each payout that arrived once, with its amount and account, and no other; the books
        have what it has, and the audit finds nothing."""
        arrived = Payout.objects.filter(state__in=["succeeded", "returned"]).select_related("account")
        expected = {one.out_no: (one.fen, one.account.number) for one in arrived}
        moved = [one for one in money.transfers(self.client) if one["status"] in ("succeeded", "returned")]
        assert {one["out_no"]: (one["fen"], one["to_account"]) for one in moved} == expected
        assert len(moved) == len(expected)
        balance = self.client.control("GET", "balance")["balance_fen"]
        assert books.balances().get("escrow", 0) == balance
        books.all_is_well()


@contextmanager
def file_bank(code: str, folder: Path, standin_dir: Path, settings: Any, *options: str) -> Iterator[FileBank]:
    """The stand-in bank as a process of its own, and the platform's settings for it."""
    pay_by_files(code, folder, settings)
    more = ("--complete-after", "0", "--exchange", str(folder), "--exchange-every", "0", *options)
    process = Fork("bank", standin_dir, *more)
    client = BankClient(process.url, keys.settings_for(standin_dir, "", process.url))
    try:
        yield FileBank(code, folder, client)
    finally:
        client.http.close()
        process.end()


def pay_by_files(code: str, folder: Path, settings: Any) -> None:
    """Has the platform pay by files that it lays into a folder; there is no bank yet."""
    settings.PAYOUT_BANK = code
    name = code.upper()
    setattr(settings, f"{name}_OUT_DIR", str(folder / "out"))
    setattr(settings, f"{name}_IN_DIR", str(folder / "in"))
    settings.PAIN001_DEBTOR_NAME, settings.PAIN001_DEBTOR_ACCOUNT = "单株碳汇监管账户", ACCOUNT
    settings.PAIN001_DEBTOR_BANK_CODE, settings.DAIFA_ACCOUNT = "102100000021", ACCOUNT
    for one in ("out", "in"):
        (folder / one).mkdir(parents=True)


def states() -> list[str]:
    """The states of all payouts, oldest first."""
    return list(Payout.objects.order_by("pk").values_list("state", flat=True))


def report(batch: Batch, *rows: tuple[str, str], kind: str = "12", group: str = "", **more: Any) -> bytes:
    """A pain.002 of these (number, status or status:reason) rows; `fen` gives amounts by number."""
    body = "".join(_row(out_no, status, more.get("fen", {}).get(out_no)) for out_no, status in rows)
    if body:
        body = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{batch.number}</OrgnlPmtInfId>{body}</OrgnlPmtInfAndSts>"
    status = f"<GrpSts>{group.partition(':')[0]}</GrpSts>{_why(group)}" if group else ""
    count = f"<OrgnlNbOfTxs>{more['count']}</OrgnlNbOfTxs>" if "count" in more else ""
    total = f"<OrgnlCtrlSum>{more['total']}</OrgnlCtrlSum>" if "total" in more else ""
    now = timezone.localtime().isoformat(timespec="seconds")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{more.get("head", "")}'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{kind}"><CstmrPmtStsRpt>'
        f"<GrpHdr><MsgId>R{next(_numbers)}</MsgId><CreDtTm>{now}</CreDtTm></GrpHdr>"
        f"<OrgnlGrpInfAndSts><OrgnlMsgId>{more.get('number', batch.number)}</OrgnlMsgId>"
        f"<OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{count}{total}{status}</OrgnlGrpInfAndSts>{body}"
        f"</CstmrPmtStsRpt></Document>"
    ).encode()


def _row(out_no: str, status: str, fen: int | None) -> str:
    amount = f'<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{yuan(fen)}</InstdAmt></Amt></OrgnlTxRef>' if fen else ""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{out_no}</OrgnlEndToEndId><TxSts>{status.partition(':')[0]}</TxSts>"
        f"{_why(status)}{amount}</TxInfAndSts>"
    )


def _why(status: str) -> str:
    _status, _colon, reason = status.partition(":")
    return f"<StsRsnInf><Rsn><Cd>{escape(reason)}</Cd></Rsn></StsRsnInf>" if reason else ""
