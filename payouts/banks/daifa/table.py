"""The table that goes to the bank: one row per payout, amounts in yuan with two decimals.

No cell begins like a formula, and nothing is replaced by a question mark: what cannot stand in the file is not in it.
"""

import csv
import io
import re

from django.conf import settings
from django.utils.translation import gettext as _

from carbonsink.money import yuan
from payouts.banks.base import BankError, Instruction, Transfer

# What spreadsheets take for the begin of a formula, also behind a space.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
MOST_LETTERS = 60
# What a column may be of.
COLUMNS = {"ordinal", "out_no", "holder", "account_number", "bank_code", "yuan", "purpose", "currency"}


def unfit(transfer: Transfer) -> str:
    """Why a transfer cannot stand in the table, in a sentence; empty when it can."""
    texts = [transfer.holder, transfer.account_number, transfer.bank_code, transfer.purpose]
    if any(not text.strip() or len(text) > MOST_LETTERS or _UNPRINTABLE.search(text) for text in texts):
        return _("The holder's name or the account number does not fit into the bank's file. Correct the account.")
    if any(_FORMULA.match(text) for text in texts):
        return _("The holder's name begins with a sign that spreadsheets take for a formula. Correct the account.")
    for text in texts:
        try:
            text.encode(settings.DAIFA_ENCODING)
        except UnicodeEncodeError as error:
            sentence = _("The bank's file (%(encoding)s) cannot hold the character “%(character)s”.")
            return sentence % {"encoding": settings.DAIFA_ENCODING, "character": text[error.start]}
    return ""


def write(instruction: Instruction) -> bytes:
    """The file's bytes. BankError("unsent") when a column is asked for that there is not."""
    if unknown := [column for column in settings.DAIFA_COLUMNS if column not in COLUMNS]:
        raise BankError("unsent", "NO_COLUMN", ", ".join(unknown))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(settings.DAIFA_COLUMNS.values())
    for ordinal, transfer in enumerate(instruction.transfers, start=1):
        row = cells(ordinal, transfer)
        writer.writerow([row[column] for column in settings.DAIFA_COLUMNS])
    return text.getvalue().encode(settings.DAIFA_ENCODING)


def cells(ordinal: int, transfer: Transfer) -> dict[str, str]:
    """A row, by what its columns may be of."""
    return {
        "ordinal": str(ordinal),
        "out_no": transfer.out_no,
        "holder": transfer.holder,
        "account_number": transfer.account_number,
        "bank_code": transfer.bank_code,
        "yuan": yuan(transfer.fen),
        "purpose": transfer.purpose,
        "currency": "CNY",
    }
