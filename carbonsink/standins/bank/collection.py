"""The account to which organisations transfer: customers pay in, the office pays back and sweeps to the escrow account,
and the account's statement comes as a file, as a person fetches it from the bank's pages.

POST /control/transfers-in `{"fen", "payer_name", "payer_account", "remittance", "reference"}` books a transfer once for
its reference; POST /control/transfers-out, with `to_name` and `to_account`, sends money back; POST /control/sweep moves
the whole balance to the escrow account. GET /control/collection.xml is a camt.053.001.02, /control/collection.csv the
table of a Chinese bank (GB18030).
"""

import csv
import io
import time
from typing import Any
from xml.sax.saxutils import escape

from flask import Blueprint, Response

from .. import fields, keys
from ..store import china_time
from . import book
from .teller import teller

collection = Blueprint("collection", __name__, url_prefix="/control")

SWEPT_AS = "对公转账归集"
HEADING = ["交易流水号", "交易日期", "收入金额", "支出金额", "余额", "对方户名", "对方账号", "摘要", "附言"]


@collection.post("/transfers-in")
def transfer_in() -> dict[str, Any]:
    data = fields.json_body()
    terms = {
        "fen": fields.whole(data, "fen"),
        "counterparty_name": fields.text(data, "payer_name", r"\S.{0,69}"),
        "counterparty_account": fields.text(data, "payer_account", r"\d{8,32}", default="2402006009000012345"),
        "remittance": fields.text(data, "remittance", r".{0,139}", default=""),
        "reference": fields.text(data, "reference", r"\S{1,64}"),
    }
    with teller().store.transaction() as db:
        return {"serial": book.credit(db, terms, time.time(), account=keys.COLLECTION_ACCOUNT)}


@collection.post("/transfers-out")
def transfer_out() -> dict[str, Any]:
    data = fields.json_body()
    fen = fields.whole(data, "fen")
    movement = book.Movement(
        keys.COLLECTION_ACCOUNT,
        -fen,
        fields.text(data, "to_name", r"\S.{0,69}"),
        fields.text(data, "to_account", r"\d{8,32}"),
        fields.text(data, "remittance", r".{0,139}"),
        "",
    )
    with teller().store.transaction() as db:
        _have(book.balance(db, keys.COLLECTION_ACCOUNT), fen)
        return {"serial": book.book(db, movement, time.time())}


@collection.post("/sweep")
def sweep() -> dict[str, Any]:
    with teller().store.transaction() as db:
        fen, now = book.balance(db, keys.COLLECTION_ACCOUNT), time.time()
        if not fen:
            return {"fen": 0}
        out = book.Movement(keys.COLLECTION_ACCOUNT, -fen, book.ESCROW_NAME, keys.ESCROW_ACCOUNT, SWEPT_AS, "")
        book.book(db, out, now)
        book.book(db, book.Movement(keys.ESCROW_ACCOUNT, fen, SWEPT_AS, keys.COLLECTION_ACCOUNT, SWEPT_AS, ""), now)
        return {"fen": fen}


@collection.get("/collection.csv")
def statement_csv() -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([["账户名称", book.COLLECTION_NAME], ["账号", f"{keys.COLLECTION_ACCOUNT}\t"], HEADING])
    for row in _movements():
        amount, empty = _grouped(row["fen"]), ""
        amounts = (amount, empty) if row["direction"] == "credit" else (empty, amount)
        day = china_time(row["booked_at"])[:10].replace("-", "")
        balance, account = _grouped(row["balance_fen"]), f"{row['counterparty_account']}\t"
        words = ("转账", row["remittance"])
        writer.writerow([_serial(row), day, *amounts, balance, row["counterparty_name"], account, *words])
    return Response(text.getvalue().encode("gb18030"), content_type="text/csv; charset=gb18030")


@collection.get("/collection.xml")
def statement_camt() -> Response:
    rows = _movements()
    closing = rows[-1]["balance_fen"] if rows else 0
    entries = "".join(_entry(row) for row in rows)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{int(time.time())}</MsgId><CreDtTm>{china_time(time.time())}</CreDtTm></GrpHdr>"
        f"<Stmt><Id>1</Id><CreDtTm>{china_time(time.time())}</CreDtTm>"
        f"<Acct><Id><Othr><Id>{keys.COLLECTION_ACCOUNT}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>"
        f"{_balance('OPBD', 0)}{_balance('CLBD', closing)}{entries}</Stmt></BkToCstmrStmt></Document>\n"
    )
    return Response(text.encode(), content_type="application/xml")


def _movements() -> list[Any]:
    query = "SELECT * FROM movements WHERE account = ? ORDER BY serial"
    with teller().store.transaction() as db:
        return list(db.execute(query, (keys.COLLECTION_ACCOUNT,)).fetchall())


def _have(balance: int, fen: int) -> None:
    if fen > balance:
        raise fields.RefusalError(422, "INSUFFICIENT_FUNDS", f"The account has {balance} fen; nothing was done.")


def _serial(row: Any) -> str:
    return f"GZ{china_time(row['booked_at'])[:10].replace('-', '')}{row['serial']:08d}"


def _plain(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _grouped(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"


def _balance(kind: str, fen: int) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="CNY">{_plain(fen)}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<Dt><Dt>{china_time(time.time())[:10]}</Dt></Dt></Bal>"
    )


def _entry(row: Any) -> str:
    side, who = ("CRDT", "Dbtr") if row["direction"] == "credit" else ("DBIT", "Cdtr")
    return (
        f'<Ntry><Amt Ccy="CNY">{_plain(row["fen"])}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts>BOOK</Sts>'
        f"<BookgDt><Dt>{china_time(row['booked_at'])[:10]}</Dt></BookgDt><AcctSvcrRef>{_serial(row)}</AcctSvcrRef>"
        f"<NtryDtls><TxDtls><RltdPties><{who}><Nm>{escape(row['counterparty_name'])}</Nm></{who}>"
        f"<{who}Acct><Id><Othr><Id>{row['counterparty_account']}</Id></Othr></Id></{who}Acct></RltdPties>"
        f"<RmtInf><Ustrd>{escape(row['remittance'])}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )
