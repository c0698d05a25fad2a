"""Plain SQL that would send money to somebody else is refused, or noticed before anything is sent."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from carbonsink import crypto
from payouts import runs, sending, statements, tasks, watching
from payouts.models import Alert, Attempt, BankAccount, Batch, Payout
from tests import factories
from tests.payouts import money
from tests.payouts.filing import FileBank
from tests.purchases import books
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


INSERTED = """
    INSERT INTO payouts_payout (run_id, household_id, account_id, bank, out_no, fen, state, created_at, bank_reference,
           held_for, approvals_needed)
    SELECT run_id, household_id, {account}, bank, 'forged', fen, {state}, now(), {reference}, {held_for}, {needed}
      FROM payouts_payout ORDER BY id LIMIT 1"""
AS_WRITTEN = {"account": "account_id", "state": "'prepared'", "reference": "''", "held_for": "''", "needed": "0"}
OTHERS = "(SELECT max(id) FROM payouts_bankaccount)"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "forged",
    [
        {"state": "'approved'"},
        {"state": "'approved'", "held_for": "'over_limit'", "needed": "2"},
        {"state": "'sending'"},
        {"state": "'succeeded'"},
        {"reference": "'B1'"},
        {"account": OTHERS},
        {"account": OTHERS, "state": "'approved'"},
    ],
)
def test_a_payout_does_not_begin_approved_or_with_another_household_s_account(forged: dict[str, str]) -> None:
    household, _other = money.households(2)
    money.settle(1000)
    money.owe({household: 300})
    runs.run_payouts()
    with pytest.raises(IntegrityError, match="does not begin"):
        sql(INSERTED.format(**AS_WRITTEN | forged))
    assert Payout.objects.count() == 1
    books.all_is_well()


def unguarded(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)


# What somebody with the database would have sent, were nothing else looked at: by plain SQL, or with the guards off.
FORGED = {
    "a payout that no run wrote": [INSERTED.format(**AS_WRITTEN), "UPDATE payouts_payout SET state = 'approved'"],
    "with another household's account": [f"UPDATE payouts_payout SET account_id = {OTHERS}"],
    "with another household": ["UPDATE payouts_payout SET household_id = (SELECT max(id) FROM trees_household)"],
    "of another amount": ["UPDATE payouts_payout SET fen = fen + 1"],
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", FORGED)
def test_what_the_books_do_not_have_is_not_sent(bank: BankClient, way: str) -> None:
    household, _other = money.households(2)
    money.fund(bank, 1000)
    money.owe({household: 300})
    runs.run_payouts()
    written = Payout.objects.get()
    for statement in FORGED[way]:
        unguarded(statement)
    forged = Payout.objects.latest("pk")
    for _turn in range(2):
        tasks.sweep()
        watching.watch()
        assert list(Alert.objects.values_list("kind", "about", "state")) == [("payout_tampered", forged.out_no, "open")]
    forged.refresh_from_db()
    assert (forged.state, forged.attempts.count()) == ("approved", 0)
    assert [row["out_no"] for row in money.transfers(bank)] == ([] if written == forged else [written.out_no])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_what_has_ended_is_not_sent_again(bank: BankClient, state: str) -> None:
    (household,) = money.households(1)
    money.fund(bank, 1000)
    money.owe({household: 300})
    runs.run_payouts()
    payout = Payout.objects.get()
    if state == "failed":
        bank.fault("transfer", "error_500_before")
        sending._begin(payout.pk)
        sending.record(payout.pk, sending.TransferReport(payout.out_no, "failed"))
    else:
        sending.send_payout(payout.pk)
    before = len(money.transfers(bank))
    unguarded("UPDATE payouts_payout SET state = 'approved'")
    unguarded("UPDATE payouts_attempt SET state = 'failed'")
    sending.send_payout(payout.pk)
    payout.refresh_from_db()
    assert (payout.state, payout.attempts.count()) == ("approved", 1)
    assert len(money.transfers(bank)) == before
    assert Alert.objects.get().kind == "payout_tampered"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", FORGED)
def test_what_the_books_do_not_have_is_in_no_file(file_bank: FileBank, way: str) -> None:
    written = file_bank.approved(300)[0]
    factories.account(factories.household())
    for statement in FORGED[way]:
        unguarded(statement)
    forged = Payout.objects.latest("pk")
    tasks.sweep()
    forged.refresh_from_db()
    assert (forged.state, forged.attempts.count()) == ("approved", 0)
    assert list(Alert.objects.values_list("kind", "about")) == [("payout_tampered", forged.out_no)]
    assert Batch.objects.count() == (0 if written == forged else 1)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_to_an_account_that_is_not_the_head_s_any_more(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.fund(bank, 1000)
    money.owe({household: 300})
    runs.run_payouts()
    former, household.head_name = household.head_name, "潘新户"
    household.save(update_fields=["head_name"])
    tasks.sweep()
    watching.watch()
    payout = Payout.objects.get()
    assert (payout.state, payout.attempts.count()) == ("approved", 0)
    assert list(Alert.objects.values_list("kind", "about", "state")) == [("holder_differs", payout.out_no, "open")]
    household.head_name = former
    household.save(update_fields=["head_name"])
    tasks.sweep()
    watching.watch()
    payout.refresh_from_db()
    assert (payout.state, Alert.objects.get().state) == ("succeeded", "closed")
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_no_file_pays_to_an_account_that_is_not_the_head_s_any_more(file_bank: FileBank) -> None:
    first, second = file_bank.approved(300, 400)
    first.household.head_name = "潘新户"
    first.household.save(update_fields=["head_name"])
    tasks.sweep()
    assert [Payout.objects.get(pk=one.pk).state for one in (first, second)] == ["approved", "sending"]
    assert list(Alert.objects.values_list("kind", "about")) == [("holder_differs", first.out_no)]
