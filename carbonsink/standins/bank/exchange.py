"""The bank's front-end machine 前置机: takes files from a folder, moves money in the bank's own book, writes answers.

A file is taken once for its message number; what has changed since the last answer is told by a further one. POST
/control/exchange looks at the folder at once. Faults are switched on for the place `exchange` (see `teller.py`).
"""

import csv
import hashlib
import io
import json
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint

from ..fields import RefusalError
from . import answers, book
from .initiations import BadFileError, Initiation, read_csv, read_pain
from .teller import Teller, teller

exchange = Blueprint("exchange", __name__, url_prefix="/control")
READERS = {".xml": ("pain.001", read_pain), ".csv": ("daifa", read_csv)}


@dataclass(frozen=True)
class Answer:
    """A file to be written into `in`."""

    kind: str
    suffix: str
    content: bytes
    last_serial: int = 0


@exchange.post("/exchange")
def exchange_now() -> dict[str, Any]:
    if teller().exchange_dir is None:
        raise RefusalError(409, "NO_EXCHANGE", "Start the bank with --exchange DIR.")
    return exchange_files(teller())


def exchange_files(bank: Teller) -> dict[str, Any]:
    """One look at the folder: the names of the files that were taken, and of the answers that were written."""
    assert bank.exchange_dir is not None
    folders = {name: bank.exchange_dir / name for name in ("out", "in", "taken")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    switched = bank.faults.take("exchange")
    fault = switched.fault if switched else ""
    taken = []
    for path in sorted(folders["out"].iterdir()):
        if path.suffix in READERS and not path.name.startswith("."):
            _take(bank, path, fault)
            path.replace(folders["taken"] / path.name)
            taken.append(path.name)
    return {"taken": taken, "written": _write(bank, folders["in"], fault)}


def _take(bank: Teller, path: Path, fault: str) -> None:
    """Takes a file's transfers, once for its number."""
    kind, read = READERS[path.suffix]
    content = path.read_bytes()
    try:
        found = read(path.stem, content)
    except BadFileError as error:
        found = Initiation(path.stem, (), str(error))
    with bank.store.transaction() as db:
        known = db.execute("SELECT 1 FROM exchanged WHERE message = ?", (found.message,)).fetchone()
        if known is not None:
            return
        trouble = found.trouble or ("FF01 报文被拒绝" if fault == "refuse" else "")
        whole = "" if trouble else bank.whole_files
        orders = json.dumps([asdict(order) for order in found.orders])
        row = (found.message, kind, orders, whole)
        db.execute("INSERT INTO exchanged (message, kind, content, whole) VALUES (?, ?, ?, ?)", row)
        refusals = {"": trouble} if trouble else _transfers(db, bank, found, whole)
        db.execute("UPDATE exchanged SET refusals = ? WHERE message = ?", (json.dumps(refusals), found.message))


def _transfers(db: sqlite3.Connection, bank: Teller, found: Initiation, whole: str) -> dict[str, str]:
    """Asks the book for each transfer; why it refused, by number, or by "" all of them."""
    refusals: dict[str, str] = {}
    file = found.message if whole else None
    if file is not None:
        try:
            book.debit_file(db, file, found.orders, time.time())
        except RefusalError as refusal:
            return {"": f"AM04 {refusal.code}"}
    for order in found.orders:
        body = json.dumps(asdict(order), sort_keys=True).encode()
        try:
            book.transfer(db, order, hashlib.sha256(body).hexdigest(), bank.complete_after, time.time(), file)
        except RefusalError as refusal:
            code = {"INSUFFICIENT_FUNDS": "AM04", "OUT_NO_USED": "DU03"}[refusal.code]
            refusals[order.out_no] = f"{code} {refusal.code}"
    return refusals


def _write(bank: Teller, folder: Path, fault: str) -> list[str]:
    """Writes what is new since the last answers."""
    with bank.store.transaction() as db:
        book.complete_due(db, time.time())
        book.give_back_of_files(db, time.time())
        found = [*_reports(db, fault), *_statement(db)]
        if fault == "reverse":
            found.reverse()
        if fault == "twice":
            found = [one for answer in found for one in (answer, answer)]
        if fault == "garbage":
            found.insert(0, Answer("garbage", ".xml", "<Document><半".encode()))
        names = []
        for answer in found:
            row = ("INSERT INTO exchange_answers (kind, last_serial) VALUES (?, ?)", (answer.kind, answer.last_serial))
            name = f"{db.execute(*row).lastrowid:08d}-{answer.kind}{answer.suffix}"
            draft = folder / f".{name}.tmp"
            draft.write_bytes(answer.content)
            draft.replace(folder / name)
            names.append(name)
    return names


def _reports(db: sqlite3.Connection, fault: str) -> list[Answer]:
    """A report for each file of which something has changed since it was last told."""
    found = []
    for row in db.execute("SELECT * FROM exchanged ORDER BY rowid").fetchall():
        refusals = json.loads(row["refusals"])
        statuses = [] if "" in refusals else [_status(db, order, refusals) for order in json.loads(row["content"])]
        late = fault == "late" and not row["told"]
        told = json.dumps([(one["out_no"], "" if late else one["status"]) for one in statuses])
        if told == row["told"]:
            continue
        db.execute("UPDATE exchanged SET told = ? WHERE message = ?", (told, row["message"]))
        if late:
            statuses = [one | {"status": "accepted"} for one in statuses]
        if fault == "reverse":
            statuses.reverse()
        if fault == "other_amount":
            statuses = [one | {"fen": one["fen"] + 1} for one in statuses]
        if row["kind"] == "daifa":
            found.append(Answer("result", ".csv", _result(statuses, refusals.get("", ""))))
            continue
        whole = refusals.get("", "DU01 重复报文" if fault == "refuse_as_known" else "")
        found.append(Answer("pain002", ".xml", answers.status_report(row["message"], statuses, whole)))
    return found


def _status(db: sqlite3.Connection, order: dict[str, Any], refusals: dict[str, str]) -> dict[str, Any]:
    if order["out_no"] in refusals:
        return order | {"status": "failed", "reason": refusals[order["out_no"]], "bank_reference": ""}
    row = book.get_transfer(db, order["out_no"])
    return order | {"status": row["status"], "reason": row["reason"], "bank_reference": row["bank_reference"]}


def _result(statuses: list[dict[str, Any]], trouble: str) -> bytes:
    """The result file of a bulk payment."""
    words = {"accepted": "处理中", "succeeded": "成功", "returned": "成功", "failed": "失败"}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["批次结果", trouble or "处理完毕"])
    writer.writerow(["序号", "收款人姓名", "收款账号", "金额", "处理状态", "失败原因", "银行流水号", "备注"])
    for ordinal, one in enumerate(statuses, start=1):
        failed = one["reason"] if one["status"] == "failed" else ""
        cells = [one["to_name"], f"{one['to_account']}\t", answers.plain(one["fen"]), words[one["status"]], failed]
        writer.writerow([ordinal, *cells, one["bank_reference"], one["out_no"]])
    return text.getvalue().encode("gb18030")


def _statement(db: sqlite3.Connection) -> list[Answer]:
    """The statement of what was booked since the last one."""
    last = db.execute("SELECT COALESCE(MAX(last_serial), 0) FROM exchange_answers").fetchone()[0]
    query = "SELECT * FROM movements WHERE account = ? AND serial > ? ORDER BY serial"
    rows = db.execute(query, (answers.ACCOUNT, last)).fetchall()
    if not rows:
        return []
    return [Answer("camt053", ".xml", answers.statement(rows), int(rows[-1]["serial"]))]
