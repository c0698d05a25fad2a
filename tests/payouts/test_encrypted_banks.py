"""Of an account the database keeps nothing to be read: not the bank, not its code. What of it changes is noticed."""

from importlib import import_module
from typing import Any

import pytest
from django.db import connection, transaction

from carbonsink import crypto
from payouts import sending
from payouts.models import Alert, BankAccount, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.payouts.test_bank_accounts import CARD, body, send, signed_in
from tests.purchases import books

OTHER = {"bank_name": "贵阳农商银行云岩支行", "bank_code": "102100099996"}


def as_stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(b::text, ' ') FROM payouts_bankaccount b")
        return str(cursor.fetchone()[0])


def unguarded(sql: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, params)


@pytest.mark.django_db
def test_neither_bank_nor_code_nor_number_is_kept_in_clear() -> None:
    household = factories.household()
    sent = body(household)
    assert send(signed_in(household.registered_by), sent).status_code == 201
    stored = as_stored()
    for secret in (sent["bank_name"], sent["bank_code"], CARD, household.head_name, household.phone):
        assert secret not in stored
    account = BankAccount.objects.get()
    assert (account.bank_name, account.bank_code, account.is_sealed) == (sent["bank_name"], sent["bank_code"], True)
    with pytest.raises(Exception, match="encrypted"):
        BankAccount.objects.filter(bank_code=sent["bank_code"]).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["bank_name", "bank_code", "phone", "holder", "number"])
def test_what_is_copied_from_another_account_is_noticed_and_nothing_is_sent(column: str) -> None:
    mine, theirs = factories.household(), factories.household()
    account, other = factories.account(mine), factories.account(theirs, **OTHER)
    money.settle(1000)
    money.owe({mine: 300})
    run_payouts()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE payouts_bankaccount SET {column} = o.{column} FROM payouts_bankaccount o"
            " WHERE o.id = %s AND payouts_bankaccount.id = %s",
            [other.pk, account.pk],
        )
    account.refresh_from_db()
    assert getattr(account, column) == getattr(other, column)
    assert not account.is_sealed
    payout = Payout.objects.get()
    assert sending._begin(payout.pk) is None
    assert not payout.attempts.exists()
    assert Alert.objects.get().kind == "account_tampered"


@pytest.mark.django_db
def test_versions_of_before_are_encrypted_and_sealed_anew_but_not_those_that_somebody_changed() -> None:
    right, changed = (factories.account(factories.household()) for _ in range(2))
    for account in (right, changed):
        former = "|".join(
            [account.household.public_id, "1", account.bank_code, account.number, account.holder]
        )  # fmt: skip
        unguarded(
            "UPDATE payouts_bankaccount SET bank_name = %s, bank_code = %s, seal = %s WHERE id = %s",
            account.bank_name,
            account.bank_code if account == right else OTHER["bank_code"],
            crypto.digest(former),
            account.pk,
        )
    with connection.schema_editor() as editor:
        import_module("payouts.migrations.0022_encrypted_banks").encrypt(None, editor)
    assert right.bank_name not in as_stored()
    found = {account.pk: account for account in BankAccount.objects.all()}
    assert (found[right.pk].bank_name, found[right.pk].bank_code) == (right.bank_name, right.bank_code)
    assert found[right.pk].is_sealed
    assert found[changed.pk].bank_code == OTHER["bank_code"]
    assert not found[changed.pk].is_sealed
    books.all_is_well()
