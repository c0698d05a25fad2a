"""camt.053, the bank-to-customer statement of ISO 20022, versions 02 to 08: the fields that are needed, strictly.

Nothing is taken from a file whose balances do not follow from its bookings.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.transfers.iso20022 import (
    document,
    find,
    first,
    is_booked,
    kind_of,
    read_balances,
    read_fen,
    read_sign,
    text,
)
from purchases.transfers.rows import MOST_ROWS, Problem, Row, Statement, read_day, read_serial, read_text, refused

_KIND = re.compile(r"camt\.053\.001\.0[2-8]")


def read_camt(name: str, content: bytes) -> Statement:
    """The booked entries of a camt.053 file. DomainError("bad_file") when it is none, ("bad_rows") with number and
    sentence of each bad entry."""
    root = document(name, content)
    if not _KIND.fullmatch(kind_of(root)):
        raise DomainError("bad_file", _("%(name)s is no statement of the kind camt.053.001.02 to 08.") % {"name": name})
    rows: list[Row] = []
    problems: list[tuple[int, str]] = []
    accounts, number = set(), 0
    for statement in root.iterfind("./{*}BkToCstmrStmt/{*}Stmt"):
        accounts.add(text(statement, "Acct/Id/IBAN") or text(statement, "Acct/Id/Othr/Id"))
        for entry in statement.iterfind("./{*}Ntry"):
            number += 1
            try:
                rows.extend(_rows(number, entry))
            except Problem as problem:
                problems.append((number, str(problem)))
        if not problems:
            read_balances(statement, name)
    if problems:
        raise refused(problems)
    if len(accounts) != 1 or len(rows) > MOST_ROWS:
        raise DomainError(
            "bad_file", _("Send the statement of one account, with at most %(most)s bookings.") % {"most": MOST_ROWS}
        )
    return Statement(rows, accounts.pop())


def _rows(number: int, entry: Element) -> Iterator[Row]:
    """One row for each transaction of a booked entry; together they are its amount."""
    if not is_booked(entry):
        return
    sign, fen = read_sign(entry), read_fen(find(entry, "Amt"))
    day = read_day(text(entry, "BookgDt/Dt") or text(entry, "BookgDt/DtTm")[:10])
    parts = entry.findall("./{*}NtryDtls/{*}TxDtls") or [entry]
    many = len(parts) > 1
    amounts = [read_fen(first(part, "Amt", "AmtDtls/TxAmt/Amt")) for part in parts] if many else [fen]
    if sum(amounts) != fen:
        raise Problem(_("the transactions of this entry are not together its amount."))
    for part, amount in zip(parts, amounts, strict=True):
        serial = text(part, "Refs/AcctSvcrRef") or ("" if many else text(entry, "AcctSvcrRef"))
        side = "Dbtr" if sign > 0 else "Cdtr"
        name = text(part, f"RltdPties/{side}/Nm") or text(part, f"RltdPties/{side}/Pty/Nm")
        account = text(part, f"RltdPties/{side}Acct/Id/IBAN") or text(part, f"RltdPties/{side}Acct/Id/Othr/Id")
        yield Row(
            line=number,
            serial=read_serial(serial),
            booked_on=day,
            fen=sign * amount,
            payer_name=read_text(name, 120),
            payer_account=read_text(account, 60),
            remittance=_remittance(part, entry),
        )


def _remittance(part: Element, entry: Element) -> str:
    """All that the payer may have written: unstructured, a creditor's reference, an end-to-end number."""
    texts = [found.text or "" for found in part.iterfind("./{*}RmtInf/{*}Ustrd")]
    texts += [text(part, "RmtInf/Strd/CdtrRefInf/Ref"), text(part, "AddtlTxInf"), text(entry, "AddtlNtryInf")]
    end_to_end = text(part, "Refs/EndToEndId")
    texts.append("" if end_to_end == "NOTPROVIDED" else end_to_end)
    return " / ".join(dict.fromkeys(read_text(one, 300) for one in texts if one.strip()))[:300]
