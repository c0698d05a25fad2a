"""pain.001.001.09, the customer's credit transfer initiation: one payment information, one transaction per payout.

Chinese accounts have no IBAN: they stand as `Othr/Id`, and the branch as its CNAPS clearing number 联行号. Charges are
the debtor's (`DEBT`), so that a household gets all of its money. The same instruction makes the same bytes.
"""

import re

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from lxml import etree
from lxml.builder import ElementMaker

from carbonsink.money import yuan
from payouts.banks.base import BankError, Instruction, Transfer
from payouts.banks.pain001.schemas import trouble

KIND = "pain.001.001.09"
NAMESPACE = f"urn:iso:std:iso:20022:tech:xsd:{KIND}"
# The amounts of the schema have 18 digits, names and texts 140 characters, accounts 34.
MOST_FEN = 10**15
_UNFIT = re.compile(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
E = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})  # type: ignore[dict-item]


def unfit(transfer: Transfer) -> str:
    """Why a transfer cannot stand in a file, in a sentence; empty when it can."""
    for text, most in ((transfer.holder, 140), (transfer.purpose, 140), (transfer.account_number, 34)):
        if not text.strip() or len(text) > most or _UNFIT.search(text):
            return _("The holder's name or the account number does not fit into the bank's file. Correct the account.")
    if not re.fullmatch(r"[0-9]{12}", transfer.bank_code) or not 0 < transfer.fen < MOST_FEN:
        return _("The bank code or the amount does not fit into the bank's file. Correct the account.")
    return ""


def write(instruction: Instruction) -> bytes:
    """The file's bytes, checked against the schema. BankError("unsent") when the settings make none that fits."""
    at = timezone.localtime(instruction.at)
    count = str(len(instruction.transfers))
    total = yuan(sum(transfer.fen for transfer in instruction.transfers))
    root = E.Document(
        E.CstmrCdtTrfInitn(
            E.GrpHdr(
                E.MsgId(instruction.number),
                E.CreDtTm(at.strftime("%Y-%m-%dT%H:%M:%S%z")[:-2] + ":" + at.strftime("%z")[-2:]),
                E.NbOfTxs(count),
                E.CtrlSum(total),
                E.InitgPty(E.Nm(settings.PAIN001_DEBTOR_NAME)),
            ),
            E.PmtInf(
                E.PmtInfId(instruction.number),
                E.PmtMtd("TRF"),
                E.BtchBookg("false"),
                E.NbOfTxs(count),
                E.CtrlSum(total),
                E.ReqdExctnDt(E.Dt(at.date().isoformat())),
                E.Dbtr(E.Nm(settings.PAIN001_DEBTOR_NAME)),
                E.DbtrAcct(E.Id(E.Othr(E.Id(settings.PAIN001_DEBTOR_ACCOUNT))), E.Ccy("CNY")),
                E.DbtrAgt(_branch(settings.PAIN001_DEBTOR_BANK_CODE)),
                E.ChrgBr("DEBT"),
                *(_transaction(transfer) for transfer in instruction.transfers),
            ),
        )
    )
    if found := trouble(KIND, root):
        raise BankError("unsent", "NOT_VALID", found)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _transaction(transfer: Transfer) -> etree._Element:
    return E.CdtTrfTxInf(
        E.PmtId(E.EndToEndId(transfer.out_no)),
        E.Amt(E.InstdAmt(yuan(transfer.fen), Ccy="CNY")),
        E.CdtrAgt(_branch(transfer.bank_code)),
        E.Cdtr(E.Nm(transfer.holder)),
        E.CdtrAcct(E.Id(E.Othr(E.Id(transfer.account_number)))),
        E.RmtInf(E.Ustrd(transfer.purpose)),
    )


def _branch(code: str) -> etree._Element:
    return E.FinInstnId(E.ClrSysMmbId(E.ClrSysId(E.Cd("CNAPS")), E.MmbId(code)))
