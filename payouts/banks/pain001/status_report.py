"""pain.002, the bank's report on a pain.001: versions 03 to 14, checked against the schema where there is one.

Of a file as a whole only "accepted" and "refused" are believed: that each of thousands of transfers has arrived must be
said of each, here or by the statement.
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Literal
from xml.etree.ElementTree import Element

from django.utils.translation import gettext as _
from lxml import etree

from carbonsink.errors import DomainError
from payouts.banks.base import BatchReport, Page, ReportFile, TransferReport
from payouts.banks.pain001.schemas import trouble
from purchases.transfers.iso20022 import find, kind_of, read_fen, text
from purchases.transfers.rows import Problem, read_text, refused

_KIND = re.compile(r"pain\.002\.001\.(0[3-9]|1[0-4])")
_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
_ACCEPTED = {"RCVD", "ACTC", "ACCP", "ACSP", "ACWC", "ACFC", "ACWP", "PDNG", "PART", "PATC"}
_SETTLED = {"ACSC", "ACCC"}
_REFUSED = {"RJCT"}
# Reasons that mean: we have had this before. That is no answer to what was sent first.
_DUPLICATES = {"AM05", "DU01", "DU02", "DU03", "DU04", "DU05", "DUPL"}
# Reasons that lie with the payee's account: wrong, closed, of another name, its holder dead. Not AC06 "blocked": it may
# be ours, and then every household's account would bounce.
_ACCOUNTS_FAULTS = {"AC01", "AC03", "AC04", "AC07", "AC14", "BE01", "BE06", "MD07", "RC10"}
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def read(name: str, content: bytes, root: Element) -> Page:
    """What a pain.002 says of a file of ours and its transfers. DomainError("bad_file") for what is none or does not
    fit together, ("bad_rows") with a sentence for each bad transaction."""
    kind = kind_of(root)
    if not _KIND.fullmatch(kind):
        sentence = _("%(name)s is no status report of the kind pain.002.001.03 to 14.")
        raise DomainError("bad_file", sentence % {"name": name})
    _check_schema(name, content, kind)
    report = find(root, "CstmrPmtStsRpt")
    group = find(report, "OrgnlGrpInfAndSts") if report is not None else None
    if report is None or group is None:
        raise DomainError("bad_file", _("%(name)s does not say which file it is about.") % {"name": name})
    reports: dict[str, TransferReport] = {}
    doubled: list[str] = []
    problems: list[tuple[int, str]] = []
    for place, transaction in enumerate(_transactions(report), start=1):
        try:
            _take(transaction, reports, doubled)
        except Problem as problem:
            problems.append((place, str(problem)))
    if problems:
        raise refused(problems)
    batch = _batch(name, report, group)
    if batch.state == "refused" and any(one.state != "failed" for one in reports.values()):
        raise DomainError("bad_file", _("%(name)s contradicts itself.") % {"name": name})
    if batch.state == "duplicate":
        doubled, reports = [*doubled, *reports], {}
    file = ReportFile(name, content, "pain.002", batches=(batch,), doubled=tuple(doubled))
    return Page((), "", reports=tuple(reports.values()), file=file)


def _check_schema(name: str, content: bytes, kind: str) -> None:
    try:
        found = trouble(kind, etree.fromstring(content, _PARSER))
    except etree.XMLSyntaxError as error:
        raise DomainError("bad_file", _("%(name)s is damaged, or no file of a bank.") % {"name": name}) from error
    if found:
        sentence = _("%(name)s does not keep to its schema (%(where)s). Ask the bank for it again.")
        raise DomainError("bad_file", sentence % {"name": name, "where": found})


def _transactions(report: Element) -> Iterator[Element]:
    yield from report.iterfind("./{*}OrgnlPmtInfAndSts/{*}TxInfAndSts")


def _reason(node: Element) -> tuple[str, str]:
    """The reason's code, and all that is said about it."""
    said = node.find("./{*}StsRsnInf")
    if said is None:
        return "", ""
    code = text(said, "Rsn/Cd") or text(said, "Rsn/Prtry")
    words = [found.text or "" for found in said.iterfind("./{*}AddtlInf")]
    return code, read_text(" ".join([code, *words]), 160)


def _take(transaction: Element, reports: dict[str, TransferReport], doubled: list[str]) -> None:
    """Adds what is said of one transfer. Problem for a status nobody knows and for two that contradict each other."""
    out_no, status = text(transaction, "OrgnlEndToEndId"), text(transaction, "TxSts")
    code, reason = _reason(transaction)
    amount = find(transaction, "OrgnlTxRef/Amt/InstdAmt")
    fen = read_fen(amount) if amount is not None else None
    if not _NUMBER.fullmatch(out_no):
        raise Problem(_("“%(number)s” is no number of ours.") % {"number": out_no[:40]})
    if status in _REFUSED and code in _DUPLICATES:
        doubled.append(out_no)
        return
    state, reference = _state(status), read_text(text(transaction, "AcctSvcrRef"), 140)
    at_fault = state == "failed" and code in _ACCOUNTS_FAULTS
    report = TransferReport(out_no, state, reference, reason=reason, fen=fen, account_at_fault=at_fault)
    if reports.setdefault(out_no, report) != report:
        raise Problem(_("the number %(number)s is there twice, and not the same.") % {"number": out_no})


def _state(status: str) -> Literal["accepted", "succeeded", "failed"]:
    if status in _SETTLED:
        return "succeeded"
    if status in _REFUSED:
        return "failed"
    if status in _ACCEPTED:
        return "accepted"
    raise Problem(_("“%(status)s” is no status that is known.") % {"status": status[:10]})


def _batch(name: str, report: Element, group: Element) -> BatchReport:
    """What is said of the whole: by the group, else by our one payment information."""
    number, status = text(group, "OrgnlMsgId"), text(group, "GrpSts")
    code, reason = _reason(group)
    payments = report.findall("./{*}OrgnlPmtInfAndSts")
    statuses = {text(one, "PmtInfSts") for one in payments}
    if not status and len(statuses) == 1:
        status = statuses.pop()
        code, reason = _reason(payments[0])
    if not _NUMBER.fullmatch(number) or status not in {"", *_ACCEPTED, *_SETTLED, *_REFUSED}:
        raise DomainError("bad_file", _("%(name)s does not say which file it is about.") % {"name": name})
    # Without a status, or where only a part was taken, each transaction speaks for itself alone.
    state: Literal["", "accepted", "settled", "refused", "duplicate"] = "" if status in ("", "PART") else "accepted"
    if status in _SETTLED:
        state = "settled"
    if status in _REFUSED:
        state = "duplicate" if code in _DUPLICATES else "refused"
    count, total = text(group, "OrgnlNbOfTxs"), text(group, "OrgnlCtrlSum")
    if not re.fullmatch("[0-9]{0,15}", count):
        raise DomainError("bad_file", _("The total of %(name)s is no amount.") % {"name": name})
    return BatchReport(number, state, reason or status, int(count) if count else None, _fen(name, total))


def _fen(name: str, total: str) -> int | None:
    if not total:
        return None
    try:
        fen = Decimal(total) * 100
        if fen != int(fen):
            raise ValueError
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise DomainError("bad_file", _("The total of %(name)s is no amount.") % {"name": name}) from error
    return int(fen)
