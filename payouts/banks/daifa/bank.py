"""代发: a table of payees for the bank's bulk payment, whose columns, words and encoding each bank has its own of; its
result file, and the account's statement (camt.053, camt.054) back."""

import re

from django.conf import settings
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from payouts.banks import camt
from payouts.banks.base import Instruction, Page, Transfer
from payouts.banks.daifa import results, table
from payouts.banks.folder import FolderBank
from purchases.transfers import iso20022


class DaifaBank(FolderBank):
    """The adapter; folders, columns, words and encoding come from DAIFA_*."""

    code = "daifa"

    def __init__(self) -> None:
        super().__init__(settings.DAIFA_OUT_DIR, settings.DAIFA_IN_DIR, settings.DAIFA_AT_ONCE)

    def file_name(self, number: str) -> str:
        return f"{number}.csv"

    def unfit(self, transfer: Transfer) -> str:
        return table.unfit(transfer)

    def frozen(self, instruction: Instruction) -> bytes:
        return table.write(instruction)

    def read(self, name: str, content: bytes) -> Page:
        if re.match(rb"(\xef\xbb\xbf)?\s*<", content):
            return camt.read(name, content, iso20022.document(name, content), settings.DAIFA_ACCOUNT)
        if not content.strip():
            raise DomainError("bad_file", _("%(name)s is empty.") % {"name": name})
        return results.read(name, content)
