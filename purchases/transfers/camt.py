"""camt.053, the bank-to-customer statement of ISO 20022, versions 02 to 08: the fields that are needed, strictly.

Nothing is taken from a file whose balances do not follow from its bookings.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.transfers.rows import MOST_ROWS, Problem, Row, Statement, read_day, read_serial, read_text, refused

_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.0[2-8]\}Document")
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2}0*)?")


def read_camt(name: str, content: bytes) -> Statement:
    """The booked entries of a camt.053 file. DomainError("bad_file") when it is none, ("bad_rows") with number and
    sentence of each bad entry."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DomainError("bad_file", _("%(name)s is damaged, or no statement (camt.053).") % {"name": name}) from error
    if not _NAMESPACE.fullmatch(root.tag):
        raise DomainError("bad_file", _("%(name)s is no statement of the kind camt.053.001.02 to 08.") % {"name": name})
    rows: list[Row] = []
    problems: list[tuple[int, str]] = []
    accounts, number = set(), 0
    for statement in root.iterfind("./{*}BkToCstmrStmt/{*}Stmt"):
        accounts.add(_text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id"))
        for entry in statement.iterfind("./{*}Ntry"):
            number += 1
            try:
                rows.extend(_rows(number, entry))
            except Problem as problem:
                problems.append((number, str(problem)))
        if not problems:
            _check_balances(statement, name)
    if problems:
        raise refused(problems)
    if len(accounts) != 1 or len(rows) > MOST_ROWS:
        raise DomainError(
            "bad_file", _("Send the statement of one account, with at most %(most)s bookings.") % {"most": MOST_ROWS}
        )
    return Statement(rows, accounts.pop())


def _find(node: Element, path: str) -> Element | None:
    return node.find("./" + "/".join(f"{{*}}{step}" for step in path.split("/")))


def _first(node: Element, *paths: str) -> Element | None:
    return next((found for path in paths if (found := _find(node, path)) is not None), None)


def _text(node: Element, path: str) -> str:
    found = _find(node, path)
    return (found.text or "").strip() if found is not None else ""


def _fen(node: Element | None) -> int:
    text = (node.text or "").strip() if node is not None else ""
    if node is None or not _AMOUNT.fullmatch(text):
        raise Problem(_("“%(text)s” is no amount in yuan such as 1234.50.") % {"text": text[:30]})
    if node.get("Ccy") != "CNY":
        raise Problem(_("this account is kept in yuan, not in %(currency)s.") % {"currency": node.get("Ccy", "")[:10]})
    return int(Decimal(text) * 100)


def _sign(node: Element) -> int:
    signs = {"CRDT": 1, "DBIT": -1}
    side = _text(node, "CdtDbtInd")
    if side not in signs:
        raise Problem(_("“%(text)s” does not say whether the money came in.") % {"text": side[:10]})
    return signs[side]


def _is_booked(entry: Element) -> bool:
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    if status not in ("BOOK", "PDNG", "INFO", "FUTR"):
        raise Problem(_("“%(text)s” does not say whether it is booked.") % {"text": status[:10]})
    return status == "BOOK"


def _rows(number: int, entry: Element) -> Iterator[Row]:
    """One row for each transaction of a booked entry; together they are its amount."""
    if not _is_booked(entry):
        return
    sign, fen = _sign(entry), _fen(_find(entry, "Amt"))
    day = read_day(_text(entry, "BookgDt/Dt") or _text(entry, "BookgDt/DtTm")[:10])
    parts = entry.findall("./{*}NtryDtls/{*}TxDtls") or [entry]
    many = len(parts) > 1
    amounts = [_fen(_first(part, "Amt", "AmtDtls/TxAmt/Amt")) for part in parts] if many else [fen]
    if sum(amounts) != fen:
        raise Problem(_("the transactions of this entry are not together its amount."))
    for part, amount in zip(parts, amounts, strict=True):
        serial = _text(part, "Refs/AcctSvcrRef") or ("" if many else _text(entry, "AcctSvcrRef"))
        side = "Dbtr" if sign > 0 else "Cdtr"
        name = _text(part, f"RltdPties/{side}/Nm") or _text(part, f"RltdPties/{side}/Pty/Nm")
        account = _text(part, f"RltdPties/{side}Acct/Id/IBAN") or _text(part, f"RltdPties/{side}Acct/Id/Othr/Id")
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
    texts += [_text(part, "RmtInf/Strd/CdtrRefInf/Ref"), _text(part, "AddtlTxInf"), _text(entry, "AddtlNtryInf")]
    end_to_end = _text(part, "Refs/EndToEndId")
    texts.append("" if end_to_end == "NOTPROVIDED" else end_to_end)
    return " / ".join(dict.fromkeys(read_text(text, 300) for text in texts if text.strip()))[:300]


def _check_balances(statement: Element, name: str) -> None:
    """The closing balance is the opening one and all booked entries; a file may leave out both."""
    balances = {}
    try:
        for balance in statement.iterfind("./{*}Bal"):
            kind = _text(balance, "Tp/CdOrPrtry/Cd")
            balances[kind] = _sign(balance) * _fen(_find(balance, "Amt"))
        moved = sum(
            _sign(entry) * _fen(_find(entry, "Amt")) for entry in statement.iterfind("./{*}Ntry") if _is_booked(entry)
        )
    except Problem as problem:
        raise DomainError("bad_file", _("A balance of %(name)s cannot be read.") % {"name": name}) from problem
    opening = balances.get("OPBD", balances.get("PRCD"))
    if opening is not None and "CLBD" in balances and opening + moved != balances["CLBD"]:
        raise DomainError(
            "bad_file", _("The balances of %(name)s do not follow from its bookings: it is not whole.") % {"name": name}
        )
