"""What a bank charges for its service is the sponsor's expense, whatever the bank; but not whatever the amount."""

from typing import Any

import pytest
from django.conf import settings

from payouts import alerts, statements, tasks
from payouts.models import StatementRow
from tests.payouts import money
from tests.payouts.filing import FileBank
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db(transaction=True)
FIXTURES = {"standin": "bank", "pain001": "file_bank", "daifa": "daifa_bank"}


def paid_in(bank: BankClient, fen: int) -> None:
    credit = {"fen": fen, "counterparty_name": settings.SPONSOR_NAMES[0], "remittance": "拨款", "reference": f"C{fen}"}
    bank.control("POST", "credits", credit)


@pytest.mark.parametrize("code", ["standin", "pain001", "daifa"])
def test_a_fee_is_booked_as_the_sponsors_expense_and_no_person_is_asked(request: Any, code: str) -> None:
    bank = request.getfixturevalue(FIXTURES[code])
    client = bank.client if isinstance(bank, FileBank) else bank
    paid_in(client, 1_000)
    client.control("POST", "fees", {"fen": 50})
    if isinstance(bank, FileBank):
        bank.exchange()
    tasks.read_statement(code)
    assert books.balances() == {"escrow": 950, "fees": 50, "sponsor": -1_000}
    assert not alerts.open_alerts().exists()
    assert StatementRow.objects.get(kind="fee").fen == -50
    books.all_is_well()


@pytest.mark.parametrize(("fen", "kind"), [(300, "fee"), (301, "suspense")])
def test_a_person_looks_at_a_fee_above_the_limit(bank: BankClient, settings: Any, fen: int, kind: str) -> None:
    settings.BANK_FEE_LIMIT_FEN = 300
    paid_in(bank, 1_000)
    bank.control("POST", "fees", {"fen": fen})
    statements.import_statement()
    assert StatementRow.objects.get(fen=-fen).kind == kind
    (owed,) = money.households(1)
    money.owe({owed: 300})
    assert alerts.stopping().filter(kind="statement_unexplained").exists() == (kind == "suspense")
