"""ISO 20022 by file: pain.001.001.09 out; pain.002, camt.053 and camt.054 back."""

from django.conf import settings

from payouts.banks import camt
from payouts.banks.base import Instruction, Page, Transfer
from payouts.banks.folder import FolderBank
from payouts.banks.pain001 import initiation, status_report
from purchases.transfers import iso20022


class Pain001Bank(FolderBank):
    """The adapter; folders, the supervised account and how many transfers a file has come from PAIN001_*."""

    code = "pain001"

    def __init__(self) -> None:
        super().__init__(settings.PAIN001_OUT_DIR, settings.PAIN001_IN_DIR, settings.PAIN001_AT_ONCE)

    def file_name(self, number: str) -> str:
        return f"{number}.xml"

    def unfit(self, transfer: Transfer) -> str:
        return initiation.unfit(transfer)

    def frozen(self, instruction: Instruction) -> bytes:
        return initiation.write(instruction)

    def read(self, name: str, content: bytes) -> Page:
        root = iso20022.document(name, content)
        if iso20022.is_kind(root, "pain.002"):
            return status_report.read(name, content, root)
        return camt.read(name, content, root, settings.PAIN001_DEBTOR_ACCOUNT)
