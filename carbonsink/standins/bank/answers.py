"""What the bank writes: pain.002.001.12 about a file, camt.053.001.08 about the account."""

import time
from typing import Any
from xml.sax.saxutils import escape

from .. import keys
from ..store import china_time
from . import book

ACCOUNT = keys.ESCROW_ACCOUNT
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
_STATUSES = {"accepted": "ACSP", "succeeded": "ACSC", "returned": "ACSC", "failed": "RJCT"}
# ISO 20022's external reason codes for what stops a transfer.
_REASONS = {"ACCOUNT_CLOSED": "AC04", "ACCOUNT_UNKNOWN": "AC01", "NAME_MISMATCH": "BE01"}


def plain(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def status_report(message: str, statuses: list[dict[str, Any]], trouble: str) -> bytes:
    """A pain.002 about each transfer of a file, or with `trouble` about the whole file: refused."""
    now = china_time(time.time())
    header = f"<GrpHdr><MsgId>S{time.time_ns()}</MsgId><CreDtTm>{now}</CreDtTm></GrpHdr>"
    count = f"<OrgnlNbOfTxs>{len(statuses)}</OrgnlNbOfTxs>" if statuses else ""
    group = f"<OrgnlMsgId>{escape(message)}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{count}"
    if trouble:
        group += f"<GrpSts>RJCT</GrpSts>{_why(trouble)}"
        body = ""
    else:
        rows = "".join(_transaction(one) for one in statuses)
        body = f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{escape(message)}</OrgnlPmtInfId>{rows}</OrgnlPmtInfAndSts>"
    return _document(
        "pain.002.001.12", "CstmrPmtStsRpt", f"{header}<OrgnlGrpInfAndSts>{group}</OrgnlGrpInfAndSts>{body}"
    )


def _transaction(one: dict[str, Any]) -> str:
    reference = f"<AcctSvcrRef>{one['bank_reference']}</AcctSvcrRef>" if one["bank_reference"] else ""
    why = _why(one["reason"]) if one["status"] == "failed" else ""
    return (
        f"<TxInfAndSts><OrgnlEndToEndId>{one['out_no']}</OrgnlEndToEndId><TxSts>{_STATUSES[one['status']]}</TxSts>"
        f'{why}{reference}<OrgnlTxRef><Amt><InstdAmt Ccy="CNY">{plain(one["fen"])}</InstdAmt></Amt></OrgnlTxRef>'
        f"</TxInfAndSts>"
    )


def _why(reason: str) -> str:
    code, _space, words = reason.partition(" ")
    more = f"<AddtlInf>{escape(words[:105])}</AddtlInf>" if words else ""
    return f"<StsRsnInf><Rsn><Cd>{_REASONS.get(code, code)[:4]}</Cd></Rsn>{more}</StsRsnInf>"


def statement(rows: list[Any]) -> bytes:
    """A camt.053 of these movements of the escrow account, with the balances before and after them."""
    now, last = china_time(time.time()), rows[-1]
    first = rows[0]
    opening = first["balance_fen"] - (first["fen"] if first["direction"] == "credit" else -first["fen"])
    entries = "".join(_entry(row) for row in rows)
    return _document(
        "camt.053.001.08",
        "BkToCstmrStmt",
        f"<GrpHdr><MsgId>D{time.time_ns()}</MsgId><CreDtTm>{now}</CreDtTm></GrpHdr>"
        f"<Stmt><Id>D{last['serial']}</Id><CreDtTm>{now}</CreDtTm>"
        f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>CNY</Ccy></Acct>"
        f"{_balance('OPBD', opening)}{_balance('CLBD', last['balance_fen'])}{entries}</Stmt>",
    )


def _balance(kind: str, fen: int) -> str:
    side = "CRDT" if fen >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="CNY">{plain(abs(fen))}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<Dt><Dt>{china_time(time.time())[:10]}</Dt></Dt></Bal>"
    )


def _entry(row: Any) -> str:
    credit = row["direction"] == "credit"
    side, who = ("CRDT", "Dbtr") if credit else ("DBIT", "Cdtr")
    back = credit and row["out_no"]
    number = f"<EndToEndId>{row['out_no']}</EndToEndId>" if row["out_no"] else "<EndToEndId>NOTPROVIDED</EndToEndId>"
    why = f"<RtrInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>{escape(row['remittance'][:105])}</AddtlInf></RtrInf>"
    charged = row["counterparty_account"] == book.FEES_ACCOUNT
    code = "<Domn><Cd>PMNT</Cd><Fmly><Cd>NTAV</Cd><SubFmlyCd>CHRG</SubFmlyCd></Fmly></Domn>" if charged else ""
    file = f"<Btch><PmtInfId>{escape(row['file'])}</PmtInfId></Btch>" if row["file"] else ""
    return (
        f'<Ntry><NtryRef>{row["serial"]}</NtryRef><Amt Ccy="CNY">{plain(row["fen"])}</Amt><CdtDbtInd>{side}</CdtDbtInd>'
        f"<RvslInd>{'true' if back else 'false'}</RvslInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><DtTm>{china_time(row['booked_at'])}</DtTm></BookgDt>"
        f"<AcctSvcrRef>GZ{row['serial']:010d}</AcctSvcrRef><BkTxCd>{code}</BkTxCd>"
        f"<NtryDtls>{file}<TxDtls><Refs>{number}</Refs><RltdPties><{who}><Pty><Nm>{escape(row['counterparty_name'])}</Nm></Pty>"
        f"</{who}></RltdPties><RmtInf><Ustrd>{escape(row['remittance'])}</Ustrd></RmtInf>"
        f"{why if back else ''}</TxDtls></NtryDtls></Ntry>"
    )


def _document(kind: str, tag: str, body: str) -> bytes:
    root = f'<Document xmlns="{_NAMESPACE}{kind}"><{tag}>{body}</{tag}></Document>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'.encode()
