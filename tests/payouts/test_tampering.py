"""Plain SQL that would send money to somebody else is refused, or noticed before anything is sent."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from carbonsink import crypto
from payouts import runs, sending, statements
from payouts.models import Attempt, BankAccount, Payout
from tests import factories
from tests.standins.clients import BankClient


def sql(statement: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("with_digest", [False, True])
def test_a_number_copied_from_another_household_is_never_paid(
    settings: Any, bank: BankClient, with_digest: bool
) -> None:
    victim, thief = factories.market(1, 1)
    mine, theirs = factories.account(thief), factories.account(victim)
    factories.paid_order(2)
    bank.control(
        "POST",
        "credits",
        {"fen": 1000, "counterparty_name": settings.SPONSOR_NAMES[0], "remittance": "top up", "reference": "s"},
    )
    statements.import_statement()
    runs.run_payouts()
    if with_digest:
        with pytest.raises(IntegrityError, match="append-only"):
            sql("UPDATE payouts_bankaccount SET number_digest = %s WHERE id = %s", mine.number_digest, theirs.pk)
        sql("UPDATE payouts_bankaccount SET number_digest = %s WHERE id = %s", "old:" + "0" * 64, theirs.pk)
        sql("UPDATE payouts_bankaccount SET number_digest = %s WHERE id = %s", mine.number_digest, theirs.pk)
    sql(
        "UPDATE payouts_bankaccount SET number = (SELECT number FROM payouts_bankaccount WHERE id = %s) WHERE id = %s",
        mine.pk,
        theirs.pk,
    )
    assert BankAccount.objects.get(pk=theirs.pk).number == mine.number
    for pk in sending.to_send():
        sending.send_payout(pk)

    assert Payout.objects.get(household=thief).state == Payout.State.SUCCEEDED
    assert Payout.objects.get(household=victim).state == Payout.State.APPROVED
    assert not Attempt.objects.filter(payout__household=victim).exists()
    book = bank.http.get(f"{bank.url}/control/book", params={"account": mine.number}).json()["movements"]
    assert [row["fen"] for row in book] == [300]
    with pytest.raises(CommandError, match="does not fit"):
        call_command("rotate_keys")
    assert not crypto.digest("x").startswith("old")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_account SET owner = owner + 100000 WHERE kind = 'household'",
        "UPDATE ledger_account SET code = 'household:0' WHERE kind = 'household'",
        "DELETE FROM ledger_account",
        "TRUNCATE ledger_account CASCADE",
        "INSERT INTO ledger_account (code, kind, owner) VALUES ('household:1', 'household', 2)",
        "UPDATE payouts_payout SET fen = fen + 1",
        "UPDATE payouts_payout SET account_id = account_id + 1",
        "UPDATE payouts_bankaccount SET household_id = household_id + 1",
        "UPDATE payouts_bankaccount SET approved_by_id = entered_by_id",
        "UPDATE payouts_attempt SET request_sha256 = ''",
        "TRUNCATE carbonsink_statechange",
        "UPDATE purchases_tariff SET price_fen = 1",
        "UPDATE purchases_sink SET order_id = NULL, certificate_id = NULL WHERE order_id IS NOT NULL",
        "UPDATE purchases_sink SET order_id = order_id + 1, certificate_id = NULL WHERE order_id IS NOT NULL",
        "UPDATE purchases_sink SET price_fen = 1",
        "DELETE FROM purchases_sink",
    ],
)
def test_plain_sql_is_refused(statement: str) -> None:
    owner = factories.market(1)[0]
    account = factories.account(owner)
    factories.paid_order()
    payout = factories.payout(account)
    Attempt.objects.create(payout=payout, request_sha256="0" * 64)
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError):
        sql(statement)
