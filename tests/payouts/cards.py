"""Payouts by Alipay to bank cards: the world of their tests."""

import itertools
from typing import Any

from django.conf import settings

from payouts import statements
from payouts.models import Payout
from payouts.runs import run_payouts
from tests.payouts import money
from tests.purchases import books
from tests.standins.cards import CardClient

_serials = itertools.count(1)


def fund(cards: CardClient, fen: int) -> None:
    """Has the sponsor pay into the account that pays, and reads its log."""
    cards.fund(fen, settings.SPONSOR_NAMES[0])
    statements.import_statement()


def approved(cards: CardClient, fen: int = 300) -> Payout:
    """A payout that is to be sent, with as much again in the account."""
    (household,) = money.households(1)
    fund(cards, 2 * fen)
    money.owe({household: fen})
    run_payouts()
    return Payout.objects.get()


def states(payout: Payout) -> tuple[str, list[str]]:
    """The payout's state and those of its attempts."""
    payout.refresh_from_db()
    return payout.state, list(payout.attempts.order_by("pk").values_list("state", flat=True))


def transfers(cards: CardClient) -> list[dict[str, Any]]:
    """The transfers in Alipay's own book."""
    return list(cards.book()["transfers"])


def arrived_once(cards: CardClient, payout: Payout) -> None:
    """Alipay has one transfer of the payout, the books have it once, and the account's log agrees."""
    payout.refresh_from_db()
    (transfer,) = transfers(cards)
    assert (payout.state, transfer["status"]) == ("succeeded", "SUCCESS")
    assert (transfer["out_biz_no"], transfer["fen"]) == (payout.out_no, payout.fen)
    assert (transfer["card"], transfer["name"]) == (payout.account.number, payout.account.holder)
    assert transfer["order_id"] == payout.bank_reference
    statements.import_statement()
    left = cards.book()["balance_fen"]
    assert books.balances() == {"escrow": left, "sponsor": -left}
    assert payout.statement_rows.get().fen == -payout.fen
    assert money.owed_fen(payout.household) == 0
    books.all_is_well()
