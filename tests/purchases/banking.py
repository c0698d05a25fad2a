"""Bank transfers as tests need them: organisations that order, and statements of the account as banks write them."""

import itertools
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.money import yuan
from purchases.models import Order, Organisation, Transfer
from purchases.transfers.importing import Outcome, import_bank_file
from purchases.transfers.rows import Row, check_serials
from purchases.transfers.table_files import read_table
from tests import factories

CODE = "91520100MA6DJ3XU7T"
ACCOUNT = "5200188000000000026"
HEADING = "交易流水号,交易日期,收入金额,支出金额,对方户名,对方账号,摘要\n"
_serials = itertools.count(1)


def organisation(name: str = "贵州青山科技有限公司", code: str = CODE) -> Organisation:
    """An enterprise that the office has checked."""
    checked = {"checked_by": factories.user(roles.ADMINISTRATOR), "checked_at": timezone.now()}
    return Organisation.objects.get_or_create(
        code=code,
        defaults={"name": name, "kind": Organisation.Kind.ENTERPRISE, "contact": factories.FIRM_CONTACT, **checked},
    )[0]


def order(quantity: int = 2, **choice: Any) -> Order:
    """A held order of an enterprise that pays by transfer."""
    return factories.order(quantity, organisation=organisation(), pays_by="transfer", **choice)


def row(fen: int, remittance: str, *, serial: str = "", payer: str = "贵州青山科技有限公司", out: bool = False) -> str:
    """A line of a CSV statement."""
    serial, amount = serial or f"S{next(_serials):06d}", f'"{int(yuan(fen)[:-3]):,}{yuan(fen)[-3:]}"'
    amounts = f",{amount}" if out else f"{amount},"
    return f"{serial},{timezone.localdate():%Y%m%d},{amounts},{payer},2402006009000012345,{remittance}\n"


def send(*rows: str, by: User | None = None) -> Outcome:
    """Has finance take in a CSV statement of these lines."""
    content = (HEADING + "".join(rows)).encode("gb18030")
    return import_bank_file("对账单.csv", content, by or factories.user(roles.FINANCE))


def transfer(fen: int, remittance: str, **more: Any) -> Transfer:
    """A transfer that came in."""
    serial = f"S{next(_serials):06d}"
    send(row(fen, remittance, serial=serial, **more))
    return Transfer.objects.get(serial=serial)


def upload(client: Client, content: bytes, name: str = "statement.csv") -> Any:
    """Sends a file on the page."""
    return client.post("/finance/transfers/", {"file": SimpleUploadedFile(name, content)})


def client_of(user: User | None = None) -> Client:
    """Finance's browser, in English."""
    client = Client(headers={"accept-language": "en"})
    client.force_login(user or factories.user(roles.FINANCE))
    return client


def entry(fen: int, remittance: str, serial: str, *, version: str = "02", side: str = "CRDT", **more: str) -> str:
    """A booked entry of a camt.053 statement."""
    status = "<Sts>BOOK</Sts>" if version < "08" else "<Sts><Cd>BOOK</Cd></Sts>"
    name = f"<Nm>{escape(more.get('payer', '贵州青山科技有限公司'))}</Nm>"
    party = name if version < "08" else f"<Pty>{name}</Pty>"
    who = "Dbtr" if side == "CRDT" else "Cdtr"
    return (
        f'<Ntry><Amt Ccy="{more.get("currency", "CNY")}">{more.get("amount", yuan(fen))}</Amt>'
        f"<CdtDbtInd>{side}</CdtDbtInd>"
        f"{status}<BookgDt><Dt>{more.get('day', date.today().isoformat())}</Dt></BookgDt>"
        f"<AcctSvcrRef>{serial}</AcctSvcrRef><NtryDtls><TxDtls>"
        f"<RltdPties><{who}>{party}</{who}><{who}Acct><Id><Othr><Id>24020060</Id></Othr></Id></{who}Acct></RltdPties>"
        f"<RmtInf><Ustrd>{escape(remittance)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def camt(
    *entries: str, version: str = "02", opening: int = 0, closing: int | None = None, account: str = ACCOUNT
) -> bytes:
    """A camt.053 statement; with a closing balance only when one is given."""
    balances = ""
    for kind, fen in (("OPBD", opening), ("CLBD", closing)):
        if closing is not None and fen is not None:
            balances += (
                f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
                f'<Amt Ccy="CNY">{yuan(fen)}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'
            )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt><GrpHdr/><Stmt>'
        f"<Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>{balances}{''.join(entries)}</Stmt></BkToCstmrStmt>"
        f"</Document>"
    ).encode()


def check(*rows: str) -> list[Row]:
    """The rows of a CSV statement, checked against each other."""
    return check_serials(read_table("x.csv", (HEADING + "".join(rows)).encode()).rows)
