"""The main job through real HTTP, real signatures and real processes, from a household to its bank account."""

from typing import Any

import pytest
from django.utils import timezone

from carbonsink.ledger.models import Account
from carbonsink.ledger.services import account, balance
from payouts import audit, runs, sending, statements
from payouts.models import Payout
from purchases.checkout import start_payment
from purchases.fees import book_fees
from purchases.models import Order
from tests import factories
from tests.processes import wait_for
from tests.standins.clients import BankClient, WechatClient


@pytest.mark.django_db(transaction=True)
def test_every_fen_of_an_order_reaches_the_households(
    live_server: Any, settings: Any, gateway: WechatClient, bank: BankClient
) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    first, second = factories.market(2, 1)
    for owner in (first, second):
        factories.account(owner)
    order = factories.order(3)
    payment = start_payment(order)

    gateway.control("POST", "pay", {"out_trade_no": payment.reference, "action": "pay"})
    wait_for(lambda: Order.objects.get(pk=order.pk).state == Order.State.PAID)

    bank.control("POST", "credits", {"fen": 500, "counterparty_name": settings.SPONSOR_NAMES[0],
                                     "remittance": "fees", "reference": "sponsor1"})  # fmt: skip
    gateway.control("POST", "settle")
    statements.import_statement()
    assert runs.run_payouts() == runs.Run(payouts=2, fen=900, held=0)
    for pk in sending.to_send():
        sending.send_payout(pk)

    assert list(Payout.objects.order_by("fen").values_list("fen", "state")) == [(300, "succeeded"), (600, "succeeded")]
    for owner, fen in ((first, 600), (second, 300)):
        movements = bank.http.get(
            f"{bank.url}/control/book", params={"account": owner.bank_accounts.get().number}
        ).json()["movements"]
        assert [(row["direction"], row["fen"]) for row in movements] == [("credit", fen)]
    statements.import_statement()
    book_fees("wechatpay", timezone.localdate())
    balances = {kind: balance(*Account.objects.filter(kind=kind)) for kind in Account.Kind.values}
    # 0.6 % of 900 fen is 5.4: the channel kept 5, the sponsor paid in 500.
    assert balances == {
        "gateway": 0, "escrow": 495, "transit": 0, "household": 0, "refunds": 0, "fees": 5, "sponsor": -500,
        "suspense": 0,
    }  # fmt: skip
    assert balance(account(Account.Kind.ESCROW, "standin")) == 495
    assert list(audit.findings()) == []
