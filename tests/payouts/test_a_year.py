"""A year of random orders: 100.00 % of the price of each sink reaches the household, whatever fails on the way.

Fees of the gateways and of the bank, refunds of what was paid out already, and trees that stand in for lost ones are
the sponsor's.
"""

import random
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as live
from django.db.models import Sum
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account, Line
from payouts import runs, statements, tasks
from payouts.models import BankAccount, Payout, StatementRow
from purchases import givebacks
from purchases.models import Order, Refund, Replacement, Sink
from tests import factories
from tests.payouts import money
from tests.purchases import books, losing
from tests.standins.clients import BankClient
from trees.models import Household, Tree

pytestmark = pytest.mark.django_db(transaction=True)
DAYS, STEP = 366, 6
GATEWAY_NAME = "财付通支付科技有限公司"
# What a gateway keeps back of each settlement, in parts of 10,000.
FEE = 60


class Year:
    """The world of the test, and what chance may do to it."""

    def __init__(self, bank: BankClient, chance: random.Random, households: list[Household]) -> None:
        self.bank, self.chance, self.households = bank, chance, households
        self.finance = factories.user(roles.FINANCE)
        self.settlements = 0
        self.returned = 0
        self.fees_fen = 0
        self.charged_fen = 0

    def buy(self) -> None:
        """Somebody buys some trees; a few never pay."""
        try:
            order = factories.order(self.chance.randint(1, 2))
        except DomainError as error:
            assert error.code == "sold_out"
            return
        if self.chance.random() < 0.9:
            factories.capture(order.payments.get())

    def give_back(self) -> None:
        """A buyer gives a tree back, in time or not; or finance has the sponsor pay for one that is paid out."""
        orders = list(Order.objects.filter(state__in=Order.HAS_TREES))
        if not orders:
            return
        sponsored = self.chance.random() < 0.3
        by = self.finance if sponsored else None
        try:
            givebacks.give_back(self.chance.choice(orders), 1, by=by, reason="asked", sponsored=sponsored)
        except DomainError as error:
            assert error.code in ("too_late", "paid_out", "bad_quantity", "not_yours_any_more"), error.code

    def lose_a_tree(self) -> None:
        """A sold tree falls: another one stands in, or its price goes back."""
        sold = list(Tree.objects.filter(state="approved", sinks__order__state__in=Order.HAS_TREES))
        if sold:
            losing.leave(self.chance.choice(sold))
            losing.sweep()

    def settle(self) -> None:
        """The gateway pays out what it has, less its fee, and the sponsor makes up for the fee."""
        gateway = ledger.account(Account.Kind.GATEWAY, "wechatpay")
        there = ledger.balance(gateway)
        if there <= 0:
            return
        self.settlements += 1
        fee = there * FEE // 10_000
        if fee:
            name = f"fee:wechatpay:{self.settlements}"
            ledger.post(name, "fee", {ledger.account(Account.Kind.FEES): fee, gateway: -fee})
        self.fees_fen += fee
        credit = {"fen": there - fee, "counterparty_name": GATEWAY_NAME, "remittance": "结算"}
        self.bank.control("POST", "credits", {**credit, "reference": f"settlement{self.settlements}"})
        money.fund(self.bank, fee + 600)

    def charge(self) -> None:
        """The bank charges the supervised account for its transfers."""
        fen = self.chance.randint(1, 60)
        self.bank.control("POST", "fees", {"fen": fen})
        self.charged_fen += fen

    def close_an_account(self) -> None:
        """A household closes its account at the bank without telling anybody."""
        account = self.chance.choice(list(BankAccount.objects.filter(state="approved")) or [None])
        if account:
            self.bank.control("POST", "accounts", {"account": account.number, "state": "closed"})

    def change_an_account(self) -> None:
        """A household gives another account; one that bounced is replaced, too."""
        bounced = list(Household.objects.filter(bank_accounts__state="bounced"))
        factories.account(self.chance.choice(bounced or self.households))

    def return_a_payout(self) -> None:
        """The bank gives a payout back days after it had arrived 退票."""
        arrived = list(Payout.objects.filter(state="succeeded"))
        if arrived:
            payout = self.chance.choice(arrived)
            self.bank.control("POST", "return", {"out_no": payout.out_no, "reason": "户名不符"})
            statements.import_statement()
            self.returned += 1

    def fail_at_the_bank(self) -> None:
        """The bank's next answer cannot be trusted."""
        self.bank.fault("transfer", self.chance.choice(["error_500_after", "garbage", "bad_signature"]))

    def pay(self) -> None:
        tasks.sweep()
        runs.run_payouts()
        tasks.sweep()


def test_a_year_of_random_orders_reaches_the_households_to_the_fen(
    bank: BankClient, chance: random.Random, later: Callable[..., None], settings: Any
) -> None:
    factories.tariff(closes_at=timezone.now() + timedelta(days=2 * DAYS))
    households = factories.market(12, 12, 12)
    for household in households:
        factories.account(household)
    year = Year(bank, chance, households)
    happens = {
        year.buy: 14, year.give_back: 3, year.lose_a_tree: 1, year.settle: 5, year.pay: 5, year.close_an_account: 1,
        year.change_an_account: 1, year.return_a_payout: 1, year.fail_at_the_bank: 1,
        year.charge: 2,
    }  # fmt: skip
    for _ in range(DAYS // STEP):
        for act in chance.choices(list(happens), list(happens.values()), k=3):
            act()
        later(days=STEP)
    # The first round shows who has closed an account without telling anybody, the second pays them too.
    for _ in range(2):
        for household in Household.objects.filter(bank_accounts__state="bounced"):
            factories.account(household)
        later(days=4)  # The new accounts have cooled.
        year.settle()
        # What is owed beyond what came in is the sponsor's.
        owed = -ledger.balance(*Account.objects.filter(kind=Account.Kind.HOUSEHOLD))
        money.fund(bank, max(1, owed - runs.available_fen("standin")))
        year.pay()
    check(bank, year)


def check(bank: BankClient, year: Year) -> None:
    """What arrived, by the bank's own book, and what is still owed are together the price of every sink that is sold,
    and what the sponsor paid for those that are not any more."""
    arrived = sum(row["fen"] for row in money.transfers(bank) if row["status"] == "succeeded")
    assert arrived == Payout.objects.filter(state="succeeded").aggregate(fen=Sum("fen", default=0))["fen"]
    on_the_way = Payout.objects.exclude(state__in=["succeeded", "failed", "returned", "cancelled"])
    owed = sum(money.owed_fen(household) for household in year.households)
    sold = Sink.objects.filter(order__state__in=Order.HAS_TREES).aggregate(fen=Sum("price_fen", default=0))["fen"]
    # Paid by the sponsor, since the household before had the money already and keeps it.
    gifts = Line.objects.filter(account__code="sponsor", entry__kind__in=["replacement", "giveback"])
    sponsored = gifts.aggregate(fen=Sum("fen", default=0))["fen"]
    assert not on_the_way.exists()
    assert arrived + owed == sold + sponsored
    assert f"{100 * (arrived + owed) / (sold + sponsored):.2f} %" == "100.00 %"
    assert owed == 0
    # The year was one: each kind of thing has happened, and the fees were somebody's.
    assert Order.objects.filter(state__in=Order.HAS_TREES).count() > 3
    assert arrived > 0
    assert year.fees_fen > 0 < year.charged_fen
    assert ledger.balance(ledger.account(Account.Kind.FEES)) == year.fees_fen + year.charged_fen
    assert StatementRow.objects.filter(kind="fee").aggregate(fen=Sum("fen"))["fen"] == -year.charged_fen
    assert not Line.objects.filter(entry__kind="fee", account__kind="household").exists()
    assert {out_no for (out_no,) in Payout.objects.values_list("out_no")} >= {
        row["out_no"] for row in money.transfers(bank)
    }
    assert live.PAYOUT_MINIMUM_FEN == 1
    sys.stderr.write(
        f"{Order.objects.count()} orders, {Payout.objects.count()} payouts, {year.returned} returned, "
        f"{Payout.objects.filter(state='failed').count()} failed, {Refund.objects.count()} refunds, "
        f"{Replacement.objects.count()} replacements, sponsor {sponsored} fen, "
        f"fees {year.fees_fen} fen, of the bank {year.charged_fen} fen\n"
    )
    books.all_is_well()
