"""Reading the XML messages of ISO 20022 that banks give out: safely, strictly, and whatever their version."""

import re
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from purchases.transfers.rows import Problem

_KIND = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:([a-z]{4}\.[0-9]{3}\.[0-9]{3}\.[0-9]{2})\}Document")
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2}0*)?")


def document(name: str, content: bytes) -> Element:
    """The root of a file without a document type and its entities. DomainError("bad_file") for any other."""
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DomainError("bad_file", _("%(name)s is damaged, or no file of a bank.") % {"name": name}) from error
    return root


def kind_of(root: Element) -> str:
    """Which message this is, such as camt.053.001.08; empty when it is none of ISO 20022."""
    found = _KIND.fullmatch(root.tag)
    return found[1] if found else ""


def is_kind(root: Element, family: str) -> bool:
    """Whether this is a message of a family such as pain.002, in any version."""
    return kind_of(root).startswith(f"{family}.001.")


def find(node: Element, path: str) -> Element | None:
    """The element at a path such as Refs/EndToEndId, in whatever namespace."""
    return node.find("./" + "/".join(f"{{*}}{step}" for step in path.split("/")))


def first(node: Element, *paths: str) -> Element | None:
    """The element at the first of the paths that there is."""
    return next((found for path in paths if (found := find(node, path)) is not None), None)


def text(node: Element, path: str) -> str:
    """What stands at a path; empty when nothing does."""
    found = find(node, path)
    return (found.text or "").strip() if found is not None else ""


def read_fen(node: Element | None) -> int:
    """An amount of yuan as fen. Problem for another currency, and for more than two decimals."""
    written = (node.text or "").strip() if node is not None else ""
    if node is None or not _AMOUNT.fullmatch(written):
        raise Problem(_("“%(text)s” is no amount in yuan such as 1234.50.") % {"text": written[:30]})
    if node.get("Ccy") != "CNY":
        raise Problem(_("this account is kept in yuan, not in %(currency)s.") % {"currency": node.get("Ccy", "")[:10]})
    return int(Decimal(written) * 100)


def read_sign(node: Element) -> int:
    """1 for a credit, -1 for a debit. Problem when it does not say."""
    signs = {"CRDT": 1, "DBIT": -1}
    side = text(node, "CdtDbtInd")
    if side not in signs:
        raise Problem(_("“%(text)s” does not say whether the money came in.") % {"text": side[:10]})
    return signs[side]


def is_booked(entry: Element) -> bool:
    """Whether an entry is booked; others are only announced. Problem when it does not say."""
    status = text(entry, "Sts/Cd") or text(entry, "Sts")
    if status not in ("BOOK", "PDNG", "INFO", "FUTR"):
        raise Problem(_("“%(text)s” does not say whether it is booked.") % {"text": status[:10]})
    return status == "BOOK"


@dataclass(frozen=True)
class Balances:
    """What a statement says was on the account, in fen, and on which day, as it is written (2026-03-31); None and empty
    where it does not say. `carried`: the opening balance is the closing one of an earlier day."""

    opening_fen: int | None
    opening_day: str
    carried: bool
    closing_fen: int | None
    closing_day: str


def read_balances(statement: Element, name: str) -> Balances:
    """The balances of a statement. DomainError when they cannot be read, or when the closing one is not the opening one
    with all booked entries; a file may leave out both."""
    found: dict[str, tuple[int, str]] = {}
    try:
        for balance in statement.iterfind("./{*}Bal"):
            fen, kind = read_sign(balance) * read_fen(find(balance, "Amt")), text(balance, "Tp/CdOrPrtry/Cd")
            found[kind] = (fen, text(balance, "Dt/Dt") or text(balance, "Dt/DtTm")[:10])
        moved = sum(
            read_sign(entry) * read_fen(find(entry, "Amt"))
            for entry in statement.iterfind("./{*}Ntry")
            if is_booked(entry)
        )
    except Problem as problem:
        raise DomainError("bad_file", _("A balance of %(name)s cannot be read.") % {"name": name}) from problem
    opening, opening_day = found.get("OPBD") or found.get("PRCD") or (None, "")
    closing, closing_day = found.get("CLBD", (None, ""))
    if opening is not None and closing is not None and opening + moved != closing:
        raise DomainError(
            "bad_file", _("The balances of %(name)s do not follow from its bookings: it is not whole.") % {"name": name}
        )
    return Balances(opening, opening_day, "OPBD" not in found, closing, closing_day)
