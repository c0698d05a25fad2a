"""Money of the way out: what households are owed, and what the supervised account holds."""

import itertools
from typing import Any

from django.conf import settings
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Line, Settlement
from payouts import statements
from payouts.accounts import approve_account
from payouts.banks.base import Movement
from payouts.models import Payout
from tests import factories
from tests.standins.clients import BankClient
from trees.models import Household

_serials = itertools.count(1)


def owe(amounts: dict[Household, int]) -> None:
    """Owes households so many fen, the sponsor's."""
    lines = {Account.objects.get(owner=household.pk): -fen for household, fen in amounts.items()}
    sponsor = ledger.account(Account.Kind.SPONSOR)
    ledger.post(f"opening:{next(_serials)}", "opening", {**lines, sponsor: sum(amounts.values())})


def settle(fen: int, bank: str = "standin") -> None:
    """Puts the sponsor's fen on the supervised account, as its statement would show it; without a bank."""
    serial = next(_serials)
    row = Movement(str(serial), timezone.now(), fen, settings.SPONSOR_NAMES[0], "拨款", "", f"credit{serial}")
    statements._book(bank, row)


def fund(bank: BankClient, fen: int) -> None:
    """Has the sponsor pay into the supervised account at the bank, and reads the statement."""
    credit = {"fen": fen, "counterparty_name": settings.SPONSOR_NAMES[0], "remittance": "拨款"}
    bank.control("POST", "credits", {**credit, "reference": f"credit{next(_serials)}"})
    statements.import_statement()


def households(count: int) -> list[Household]:
    """Households with an approved account each."""
    officer, finance = factories.user(roles.OFFICER), factories.user(roles.FINANCE)
    made = [factories.household(officer) for _ in range(count)]
    for household in made:
        approve_account(factories.account(household, approved=False), by=finance)
    return made


def owed_fen(household: Household) -> int:
    """What a household is still owed and no payout has taken."""
    lines = Line.objects.filter(account__owner=household.pk)
    return -sum(ledger.unsettled(lines).values_list("fen", flat=True))


def payouts() -> list[tuple[int, int, str]]:
    """Household, fen and state of every payout, oldest first."""
    return list(Payout.objects.order_by("pk").values_list("household", "fen", "state"))


def settled_fen(payout: Payout) -> int:
    """The sum of the lines a payout took, without its own."""
    taken = Settlement.objects.filter(payout_reference=payout.out_no)
    lines = Line.objects.filter(settlement__in=taken).exclude(entry__reference=f"payout:{payout.out_no}")
    return -sum(lines.values_list("fen", flat=True))


def transfers(bank: BankClient, **where: str) -> list[dict[str, Any]]:
    """What the bank's own book says of transfers."""
    return list(bank.http.get(f"{bank.url}/control/book", params=where).json()["transfers"])
