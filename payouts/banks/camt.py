"""camt.053 and camt.054, the account's statement and its single bookings, as rows of the supervised account.

Read without a schema: banks keep to its names and leave out what it demands. What is needed is checked strictly, and
the balances are reckoned.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from xml.etree.ElementTree import Element

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from payouts.banks.base import FILE_NUMBER, Balance, Movement, Page, ReportFile
from purchases.transfers.iso20022 import (
    Balances,
    find,
    first,
    is_booked,
    is_kind,
    kind_of,
    read_balances,
    read_fen,
    read_sign,
    text,
)
from purchases.transfers.rows import Problem, read_day, read_text, refused

MOST_ROWS = 100_000
# What a bank charges for its service, in whatever domain and family. Source: ISO 20022, external code set
# BankTransactionSubFamily1Code.
_FEES = {"CHRG", "COMM", "FEES"}
_SUB_FAMILY = "BkTxCd/Domn/Fmly/SubFmlyCd"
_OUT_NO = re.compile(r"[0-9A-Za-z]{1,32}")
_SERIAL = re.compile(r"[\x21-\x7e]{1,64}")


def read(name: str, content: bytes, root: Element, account: str) -> Page:
    """The booked movements of our account. DomainError("bad_file") for any other file, ("bad_rows") with a sentence for
    each bad entry: nothing of it is taken then."""
    if is_kind(root, "camt.053"):
        statements = root.findall("./{*}BkToCstmrStmt/{*}Stmt")
    elif is_kind(root, "camt.054"):
        statements = root.findall("./{*}BkToCstmrDbtCdtNtfctn/{*}Ntfctn")
    else:
        sentence = _("%(name)s is no answer of a bank that can be read (pain.002, camt.053, camt.054).")
        raise DomainError("bad_file", sentence % {"name": name})
    movements: list[Movement] = []
    problems: list[tuple[int, str]] = []
    balances: list[Balance] = []
    number = 0
    for statement in statements:
        _check_account(statement, name, account)
        for entry in statement.iterfind("./{*}Ntry"):
            number += 1
            try:
                movements += _movements(statement, entry)
            except Problem as problem:
                problems.append((number, str(problem)))
        if not problems:
            balances += _balances(read_balances(statement, name))
    if problems:
        raise refused(problems)
    if not statements or number > MOST_ROWS:
        raise DomainError("bad_file", _("%(name)s has no statement, or too many bookings.") % {"name": name})
    _check_serials(movements)
    # A return may stand above the payout it returns: what left comes first.
    ordered = sorted(movements, key=lambda row: row.fen > 0)
    return Page(tuple(ordered), "", file=ReportFile(name, content, kind_of(root)[:8]), balances=tuple(balances))


def _balances(told: Balances) -> Iterator[Balance]:
    """The balances of a statement that says of which day its closing one is; the opening one only of a known day."""
    day, first = _day(told.closing_day), _day(told.opening_day)
    if told.closing_fen is None or day is None:
        return
    if first is None:
        yield Balance(day, day, None, told.closing_fen)
    else:
        yield Balance(min(first + timedelta(days=told.carried), day), day, told.opening_fen, told.closing_fen)


def _day(written: str) -> date | None:
    try:
        return read_day(written)
    except Problem:
        return None


def _check_account(statement: Element, name: str, account: str) -> None:
    theirs = text(statement, "Acct/Id/Othr/Id") or text(statement, "Acct/Id/IBAN")
    if not account or theirs.replace(" ", "") != account.replace(" ", ""):
        raise DomainError("bad_file", _("%(name)s is the statement of another account.") % {"name": name})


def _movements(statement: Element, entry: Element) -> Iterator[Movement]:
    """One row for each transaction of a booked entry; together they are its amount. `CdtDbtInd` says which way the
    money went, also where `RvslInd` says that it is the reversal of an earlier entry."""
    if not is_booked(entry):
        return
    sign, fen, at = read_sign(entry), read_fen(find(entry, "Amt")), _booked_at(entry)
    parts = entry.findall("./{*}NtryDtls/{*}TxDtls") or [entry]
    many = len(parts) > 1
    amounts = [read_fen(first(part, "Amt", "AmtDtls/TxAmt/Amt")) for part in parts] if many else [fen]
    if sum(amounts) != fen:
        raise Problem(_("the transactions of this entry are not together its amount."))
    for place, (part, amount) in enumerate(zip(parts, amounts, strict=True), start=1):
        side = "Dbtr" if sign > 0 else "Cdtr"
        name = text(part, f"RltdPties/{side}/Nm") or text(part, f"RltdPties/{side}/Pty/Nm")
        serial = _serial(statement, entry, part, place if many else 0)
        yield Movement(
            serial=serial,
            booked_at=at,
            fen=sign * amount,
            counterparty=read_text(name, 140),
            remittance=_remittance(part, entry),
            out_no=_out_no(part) or ("" if many else _file_no(entry)),
            bank_reference=serial,
            is_fee=(text(part, _SUB_FAMILY) or text(entry, _SUB_FAMILY)) in _FEES,
        )


def _serial(statement: Element, entry: Element, part: Element, place: int) -> str:
    """The bank's own number of a booking. `NtryRef` counts within one statement only, so it needs that one's name."""
    serial = text(part, "Refs/AcctSvcrRef")
    if not serial:
        serial = text(entry, "AcctSvcrRef")
        if not serial and text(entry, "NtryRef") and text(statement, "Id"):
            serial = f"{text(statement, 'Id')}:{text(entry, 'NtryRef')}"
        serial += f"-{place}" if serial and place else ""
    if not _SERIAL.fullmatch(serial):
        raise Problem(_("the bank's serial number is missing."))
    return serial


def _booked_at(entry: Element) -> datetime:
    written = text(entry, "BookgDt/DtTm")
    day = read_day(text(entry, "BookgDt/Dt") or written[:10])
    try:
        at = parse_datetime(written)
    except ValueError:
        at = None
    at = at or datetime.combine(day, time())
    return at if timezone.is_aware(at) else timezone.make_aware(at)


def _out_no(part: Element) -> str:
    """Our number, where the entry bears one: of a return too it is the number of the transfer that came back."""
    number = text(part, "Refs/EndToEndId")
    return number if _OUT_NO.fullmatch(number) and number != "NOTPROVIDED" else ""


def _file_no(entry: Element) -> str:
    """The number of our file, of an entry that books all of it at once; banks and payers have such of their own too."""
    found = (text(entry, f"NtryDtls/Btch/{name}").lower() for name in ("PmtInfId", "MsgId"))
    return next((number for number in found if FILE_NUMBER.fullmatch(number)), "")


def _remittance(part: Element, entry: Element) -> str:
    """What it was for; of a return, why it came back."""
    reason = text(part, "RtrInf/Rsn/Cd") or text(part, "RtrInf/Rsn/Prtry")
    texts = [reason, text(part, "RtrInf/AddtlInf")]
    texts += [found.text or "" for found in part.iterfind("./{*}RmtInf/{*}Ustrd")]
    texts += [text(part, "AddtlTxInf"), text(entry, "AddtlNtryInf")]
    return " / ".join(dict.fromkeys(read_text(one, 200) for one in texts if one.strip()))[:200]


def _check_serials(movements: list[Movement]) -> None:
    """The same serial number twice in a file stands for two bookings: then it is none."""
    known: set[str] = set()
    problems = []
    for place, row in enumerate(movements, start=1):
        if row.serial in known:
            problems.append((place, _("the serial number %(serial)s is there twice.") % {"serial": row.serial}))
        known.add(row.serial)
    if problems:
        raise refused(problems)
