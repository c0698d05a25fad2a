"""Taking in a statement: all of its rows or none, each row of the bank once, and its money booked at once.

A file is stored whole in one transaction, every transfer waiting and its money in suspense. Then each is looked at for
itself: whoever crashes in between leaves transfers that the sweep looks at.
"""

import hashlib
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.locks import one_after_another
from purchases.gateways import TRANSFER
from purchases.models import BankFile, Transfer
from purchases.transfers import matching, sent_by_hand
from purchases.transfers.camt import read_camt
from purchases.transfers.rows import Row, Statement, check_serials, refused
from purchases.transfers.table_files import read_table

log = structlog.get_logger(__name__)

MOST_BYTES = 8_000_000


@dataclass(frozen=True)
class Outcome:
    """What came of a file: its transfers that are new, those of them that paid their order, and what went out."""

    file: BankFile
    known: bool
    new: int = 0
    matched: int = 0
    debits: int = 0
    confirmed: int = 0


def import_bank_file(name: str, content: bytes, by: User) -> Outcome:
    """Reads a statement of the account for transfers: camt.053, CSV or XLSX.

    Raises DomainError("bad_file") for what is no statement of this account, ("bad_rows", problems=…) with a sentence
    for each bad row, ("other_amount", problems=…) when a row that is known has another amount now; nothing of such a
    file is stored. The same file again, or one that overlaps, takes in what is new.
    """
    statement = _read(name, content)
    rows = check_serials(statement.rows)
    file, new = _store(name, hashlib.sha256(content).hexdigest(), rows, by)
    matched = sum(matching.look_at(transfer.pk) for transfer in new)
    debits = [row for row in rows if row.fen < 0]
    confirmed = sum(sent_by_hand.confirm_by_statement(row) for row in debits)
    log.info("bank_file_read", file=file.pk, new=len(new), matched=matched, debits=len(debits), confirmed=confirmed)
    return Outcome(file, not new, len(new), matched, len(debits), confirmed)


def _read(name: str, content: bytes) -> Statement:
    if len(content) > MOST_BYTES:
        raise DomainError("bad_file", _("This file is too large. Send shorter periods."))
    begin = content[:400].lstrip(b"\xef\xbb\xbf \t\r\n")
    statement = read_camt(name, content) if begin.startswith(b"<") else read_table(name, content)
    ours = settings.TRANSFER_ACCOUNT_NUMBER
    if ours and statement.account and statement.account.replace(" ", "") != ours.replace(" ", ""):
        raise DomainError("bad_file", _("%(name)s is the statement of another account.") % {"name": name})
    return statement


@transaction.atomic
def _store(name: str, sha256: str, rows: list[Row], by: User) -> tuple[BankFile, list[Transfer]]:
    """The file and its transfers that are new, their money in suspense."""
    bank = settings.TRANSFER_BANK_CODE
    one_after_another(f"transfers.{bank}")
    credits = [row for row in rows if row.fen > 0]
    known = dict(
        Transfer.objects.filter(bank=bank, serial__in=[row.serial for row in credits]).values_list("serial", "fen")
    )
    others = [row for row in credits if known.get(row.serial, row.fen) != row.fen]
    if others:
        sentence = _("the bank's number %(serial)s came with another amount before. Ask the bank.")
        problems = refused([(row.line, sentence % {"serial": row.serial}) for row in others]).details["problems"]
        raise DomainError("other_amount", _("Nothing of this file was stored."), status=409, problems=problems)
    new = [row for row in credits if row.serial not in known]
    file, _made = BankFile.objects.get_or_create(
        sha256=sha256,
        defaults={"name": name[:200], "bank": bank, "rows": len(rows), "new_rows": len(new), "sent_by": by},
    )
    return file, [_take_in(bank, file, row) for row in new]


def _take_in(bank: str, file: BankFile, row: Row) -> Transfer:
    transfer = Transfer.objects.create(
        bank=bank,
        serial=row.serial,
        file=file,
        booked_on=row.booked_on,
        fen=row.fen,
        payer_name=row.payer_name,
        payer_account=row.payer_account,
        remittance=row.remittance,
    )
    amounts = {ledger.account(Account.Kind.GATEWAY, TRANSFER): row.fen, matching.suspense(): -row.fen}
    ledger.post(matching.came_reference(transfer), "transfer", amounts)
    return transfer
