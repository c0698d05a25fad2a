"""An account that a bank which takes files could not pay gets nothing more, as with any other bank."""

from typing import Any

import pytest

from payouts import tasks
from payouts.models import BankAccount, Payout
from tests.payouts import money
from tests.payouts.filing import FileBank, states

pytestmark = pytest.mark.django_db(transaction=True)
LISTED = [{"state": "closed"}, {"state": "unknown"}, {"name": "别人"}]


def nights(file_bank: FileBank, payout: Payout, listed: dict[str, str]) -> list[str]:
    """The states of its payouts after three nights, whose account the bank cannot pay; the account's is the last."""
    number = payout.account.number
    file_bank.client.control("POST", "accounts", {"account": number, "state": "open"} | listed)
    for _ in range(3):
        tasks.sweep()
        file_bank.exchange()
        tasks.run_payouts()
    return [*states(), BankAccount.objects.get(pk=payout.account_id).state]


@pytest.mark.parametrize("listed", LISTED)
def test_an_account_that_a_status_report_refuses_bounces(file_bank: FileBank, listed: Any) -> None:
    (payout,) = file_bank.approved(300)
    assert nights(file_bank, payout, listed) == ["failed", "bounced"]
    assert money.owed_fen(payout.household) == 300


@pytest.mark.parametrize("listed", LISTED)
def test_an_account_that_a_result_file_refuses_bounces(daifa_bank: FileBank, listed: Any) -> None:
    (payout,) = daifa_bank.approved(300)
    assert nights(daifa_bank, payout, listed) == ["failed", "bounced"]
    assert money.owed_fen(payout.household) == 300
