"""A day of money with the real stand-ins, and the ways in which its three sides can come to differ."""

import itertools
import sqlite3
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from carbonsink.days import bounds
from carbonsink.standins import keys
from payouts import reconciliation, sending, statements
from payouts.models import Discrepancy, Payout, Reconciliation
from payouts.runs import run_payouts
from purchases import checkout, givebacks, refunds
from purchases import tasks as market
from purchases.models import Payment, Refund
from tests import factories
from tests.standins.clients import BankClient, WechatClient

_references = itertools.count(1)


class Day:
    """Today, as the outside lives it. `end` puts our clock into the next morning; then the day can be compared."""

    def __init__(self, bank: BankClient, wechat: WechatClient, folder: Path, later: Any) -> None:
        midnight = bounds(timezone.localdate())[1].timestamp()
        if midnight - time.time() < 60:  # A day in which nothing can be done any more.
            time.sleep(midnight - time.time() + 1)
        self.bank, self.wechat, self.folder, self.later = bank, wechat, folder, later
        self.day: date = timezone.localdate()

    def sql(self, name: str, query: str, *values: Any) -> list[Any]:
        """Changes a stand-in's own book behind its back."""
        book = sqlite3.connect(self.folder / f"{name}.sqlite3", timeout=10)
        try:
            with book:
                return book.execute(query, values).fetchall()
        finally:
            book.close()

    def sell(self, trees: int = 1, **choice: Any) -> Payment:
        """An order, paid at the gateway."""
        payment = checkout.start_payment(factories.order(trees, **choice))
        self.wechat.pay(payment.reference)
        checkout.ask_gateway(payment)
        return Payment.objects.get(pk=payment.pk)

    def settle(self) -> None:
        """The gateway settles to the supervised account."""
        self.wechat.control("POST", "settle", {})
        statements.import_statement()

    def pay_out(self) -> list[Payout]:
        """A run, sent, and its debits read."""
        run_payouts()
        for pk in sending.to_send():
            sending.send_payout(pk)
        statements.import_statement()
        return list(Payout.objects.order_by("pk"))

    def credit(self, fen: int, name: str = "") -> str:
        """Money comes in at the bank; the serial number of its row."""
        terms = {"fen": fen, "counterparty_name": name or settings.SPONSOR_NAMES[0], "remittance": "x"}
        reference = f"D{next(_references)}"
        return str(self.bank.control("POST", "credits", {**terms, "reference": reference})["serial"])

    def leave_serials(self) -> int:
        """The bank leaves out a number, which it uses later; the number."""
        self.credit(1)
        ((serial,),) = self.sql("bank", "SELECT max(serial) FROM movements")
        self.sql("bank", "DELETE FROM movements WHERE serial = ?", serial)
        return int(serial)

    def book_later(self, serial: int, fen: int, at: datetime | None = None, name: str = "") -> None:
        """The bank books a row under a number that we have read past."""
        self.sql(
            "bank",
            "INSERT INTO movements VALUES (?, ?, ?, 'credit', ?, 0, ?, '1234567890', 'late', NULL, ?, NULL)",
            serial, keys.ESCROW_ACCOUNT, (at or timezone.now()).timestamp(), fen, name or settings.SPONSOR_NAMES[0], f"L{serial}",
        )  # fmt: skip

    def end(self, hour: float = 11.5) -> None:
        """The next morning, by default at half past eleven: fees are booked and bills compared."""
        morning = bounds(self.day)[1] + timedelta(hours=hour)
        self.later(seconds=(morning - timezone.now()).total_seconds())
        market.book_fees()
        market.compare_bills()

    def next_day(self) -> None:
        """A day later, once its bills are compared."""
        self.later(days=1)
        market.compare_bills()

    def reconcile(self) -> Reconciliation:
        made = reconciliation.reconcile(self.day)
        assert made is not None
        return made


def differences(day: date | None = None, **where: Any) -> set[tuple[str, str, int | None, int | None]]:
    """What differs: kind, reference, our fen, theirs."""
    rows = Discrepancy.objects.filter(**{"state": "open", **where})
    if day:
        rows = rows.filter(reconciliation__day=day)
    return set(rows.values_list("kind", "reference", "ours_fen", "theirs_fen"))


def full_day(day: Day) -> tuple[list[Payment], list[Payout]]:
    """Two sales, one of which goes back in part, a settlement, a sponsor's deposit and payouts."""
    for household in factories.market(3, 3):
        factories.account(household)
    payments = [day.sell(2), day.sell(1)]
    day.credit(10_000)
    day.settle()
    return payments, day.pay_out()


def give_back(payment: Payment) -> Refund:
    """A tree of an order goes back, by the gateway."""
    refund = givebacks.give_back(payment.order, 1, by=None, reason="x")
    refunds.send(Refund.objects.select_related("payment").get(pk=refund.pk))
    return Refund.objects.get(pk=refund.pk)
