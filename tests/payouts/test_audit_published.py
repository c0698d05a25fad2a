"""The audit sees whatever is done to a day that was published, in the ledger or in its tree, with the guards off."""

import hashlib
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from carbonsink import crypto
from payouts import daily, sealing
from payouts.audit import daily as published
from payouts.models import DailyStatement, DailyTree
from tests import factories
from tests.payouts.test_audit import by_hand
from tests.payouts.test_daily_statement import arrive
from tests.purchases import books
from tests.standins.clients import BankClient

pytestmark = pytest.mark.django_db

CHANGED = "published days whose entries or tree have changed"
ROOT = "published days whose tree does not have the signed root"
UNSIGNED = "daily statements whose signature does not fit"
LEAVES = "published days whose leaves are not what the ledger says"
IN_FIRST = "entry_id IN (SELECT id FROM ledger_entry WHERE kind = 'capture')"
FIRST = "statement_id = (SELECT min(id) FROM payouts_dailystatement)"
MOVED = f"""UPDATE ledger_line SET fen = fen + CASE id WHEN (SELECT min(id) FROM ledger_line WHERE fen < 0 AND {IN_FIRST})
             THEN 300 ELSE -300 END WHERE fen < 0 AND {IN_FIRST}"""

# {what is done: (SQL, what the audit finds of the first day, of the second)}, in a world where two households were paid
# for one order: on the first day it was bought, on the second their payouts arrived.
BROKEN: dict[str, tuple[str, set[str], set[str]]] = {
    "300 fen are another household's": (MOVED, {CHANGED, LEAVES}, {CHANGED, LEAVES}),
    "two lines are each other's household's": (
        "UPDATE ledger_line l SET account_id = (SELECT o.account_id FROM ledger_line o WHERE o.entry_id = l.entry_id"
        f" AND o.fen < 0 AND o.id <> l.id) WHERE fen < 0 AND {IN_FIRST}",
        {CHANGED, LEAVES},
        {CHANGED, LEAVES},
    ),
    "two payouts have taken each other's lines": (
        "UPDATE ledger_settlement s SET payout_reference = (SELECT o.out_no FROM payouts_payout o"
        " WHERE o.out_no <> s.payout_reference)",
        set(),
        {CHANGED},
    ),
    "an entry is of another day": (
        "UPDATE ledger_entry SET at = at - interval '1 day' WHERE kind = 'capture'",
        {CHANGED, LEAVES},
        set(),
    ),
    "money came through another gateway": (
        "INSERT INTO ledger_account (code, kind) VALUES ('gateway:other', 'gateway'); UPDATE ledger_line SET account_id ="
        f" (SELECT id FROM ledger_account WHERE code = 'gateway:other') WHERE fen > 0 AND {IN_FIRST}",
        {CHANGED},
        set(),
    ),
    "an order has another number": (
        "UPDATE purchases_order SET number = reverse(number)",
        {CHANGED, LEAVES},
        {CHANGED, LEAVES},
    ),
    "a household is another one": (
        "UPDATE trees_household SET public_id = reverse(public_id)",
        {CHANGED, LEAVES},
        {CHANGED, LEAVES},
    ),
    "nobody knows what the ledger said": (
        f"UPDATE payouts_dailytree SET seal = ''; {MOVED}",
        {CHANGED, LEAVES},
        {CHANGED, LEAVES},
    ),
    "somebody has made a seal": (
        f"UPDATE payouts_dailytree SET seal = repeat('0', 64) WHERE {FIRST}",
        {CHANGED},
        set(),
    ),
    "a day has the other day's seal": (
        "UPDATE payouts_dailytree SET seal = (SELECT max(o.seal) FROM payouts_dailytree o"
        f" WHERE o.statement_id <> payouts_dailytree.statement_id) WHERE {FIRST}",
        {CHANGED},
        set(),
    ),
    "a tree has another leaf": (
        f"UPDATE payouts_dailytree SET hashes = set_byte(hashes, 3, 255 - get_byte(hashes, 3)) WHERE {FIRST}",
        {CHANGED, ROOT, LEAVES},
        set(),
    ),
    "a tree has lost a leaf": (
        f"UPDATE payouts_dailytree SET hashes = substr(hashes, 1, 32) WHERE {FIRST}",
        {CHANGED, ROOT, LEAVES},
        set(),
    ),
    "a tree is gone": (f"DELETE FROM payouts_dailytree WHERE {FIRST}", {CHANGED, ROOT, LEAVES}, set()),
    "the secret is of another column": (
        "UPDATE payouts_dailystatement SET secret = (SELECT min(bank_code) FROM payouts_bankaccount) WHERE number = 1",
        {CHANGED, LEAVES},
        set(),
    ),
    "the secret is no hex at all": (
        "UPDATE payouts_dailystatement SET secret = (SELECT min(holder) FROM payouts_bankaccount) WHERE number = 1",
        {CHANGED, LEAVES},
        set(),
    ),
    "the secret is not ours": (
        "UPDATE payouts_dailystatement SET secret = 'x' WHERE number = 1",
        {CHANGED, LEAVES},
        set(),
    ),
}


@pytest.fixture
def days(later: Any, bank: BankClient) -> list[str]:
    """Two published days, by their names."""
    for owner in factories.market(3, 2):
        factories.account(owner)
    factories.paid_order(5)
    later(days=1)
    daily.publish_missed()
    arrive(bank, 1500)
    later(days=1)
    daily.publish_missed()
    books.all_is_well()
    return [str(one.day) for one in DailyStatement.objects.order_by("number")]


def found() -> dict[str, set[str]]:
    """What the audit finds of published days, by day."""
    wrong: dict[str, set[str]] = {}
    for sentence, offenders in books.found().items():
        if sentence in published.LOOKS or sentence in published.WHOLE:
            for day in offenders:
                wrong.setdefault(day, set()).add(sentence)
    return wrong


@pytest.mark.parametrize("done", BROKEN)
def test_the_audit_sees_that(done: str, days: list[str]) -> None:
    sql, first, second = BROKEN[done]
    by_hand(sql)
    assert found() == {day: wrong for day, wrong in zip(days, (first, second), strict=True) if wrong}


def test_each_look_is_tried_here() -> None:
    tried = set().union(*(first | second for _sql, first, second in BROKEN.values())) | {UNSIGNED}
    assert tried == {*published.LOOKS, *published.WHOLE}


def test_what_was_moved_between_two_lines_is_seen_by_nothing_else(later: Any) -> None:
    """Not settled yet, the entry still sums to 0 and the order's price is owed; only what was published knows."""
    factories.market(3, 2)
    factories.paid_order(5)
    later(days=1)
    daily.publish_missed()
    books.all_is_well()
    by_hand(MOVED)
    day = str(DailyStatement.objects.get().day)
    assert books.found() == {CHANGED: [day], LEAVES: [day]}
    with pytest.raises(CommandError, match="1 statements do not hold"):
        call_command("audit", jobs=1)


@pytest.mark.parametrize("days_changed", [1, 2])
def test_a_seal_under_a_secret_that_anybody_could_put_there_is_none(days: list[str], days_changed: int) -> None:
    """What is encrypted elsewhere in the database decrypts as a secret too, and its text may be known."""
    known = "0123456789abcdef" * 4
    by_hand(MOVED)
    for statement in DailyStatement.objects.order_by("number")[:days_changed]:
        tree = hashlib.sha256(bytes(DailyTree.objects.get(pk=statement.pk).hashes)).digest()
        seal = sealing.seal(known, statement.day, tree, sealing.digests(statement.pk)[statement.pk])
        by_hand(
            f"UPDATE payouts_dailystatement SET secret = '{crypto.fernet().encrypt(known.encode()).decode()}' WHERE id = {statement.pk}"
        )
        by_hand(f"UPDATE payouts_dailytree SET seal = '{seal}' WHERE statement_id = {statement.pk}")
    assert found() == {day: {CHANGED, LEAVES} for day in days}


def test_who_had_the_platforms_keys_is_found_by_the_root_that_was_signed(days: list[str]) -> None:
    """A tree and a seal that are made anew fit the ledger; only the signed text does not."""
    by_hand(MOVED)
    statement = DailyStatement.objects.get(number=1)
    hashes = daily.leaf_hashes(statement.pk, statement.secret)
    entries = sealing.digests(statement.pk)[statement.pk]
    seal = sealing.seal(statement.secret, statement.day, hashlib.sha256(hashes).digest(), entries)
    by_hand(
        f"UPDATE payouts_dailytree SET hashes = '\\x{hashes.hex()}', seal = '{seal}' WHERE statement_id = {statement.pk}"
    )
    assert found() == {days[0]: {CHANGED, ROOT}, days[1]: {CHANGED, LEAVES}}


def test_a_tree_that_was_made_anew_does_not_have_the_signed_root(days: list[str]) -> None:
    by_hand(MOVED)
    statement = DailyStatement.objects.get(number=1)
    hashes = daily.leaf_hashes(statement.pk, statement.secret)
    by_hand(f"UPDATE payouts_dailytree SET hashes = '\\x{hashes.hex()}' WHERE statement_id = {statement.pk}")
    assert found() == {days[0]: {CHANGED, ROOT}, days[1]: {CHANGED, LEAVES}}


def test_days_that_were_published_before_there_were_seals_are_well(days: list[str]) -> None:
    assert "" not in DailyTree.objects.values_list("seal", flat=True)
    by_hand("UPDATE payouts_dailytree SET seal = ''")
    books.all_is_well()


def test_leaves_are_made_anew_only_when_asked_for(days: list[str], capsys: Any) -> None:
    call_command("audit", verbosity=2)
    said = capsys.readouterr().out
    assert CHANGED in said
    assert LEAVES not in said
    call_command("audit", verbosity=2, whole=True)
    assert LEAVES in capsys.readouterr().out
    by_hand(f"UPDATE payouts_dailytree SET hashes = substr(hashes, 1, 32) WHERE {FIRST}")
    with pytest.raises(CommandError, match="1 statements do not hold"):
        call_command("audit")
    with pytest.raises(CommandError, match="3 statements do not hold"):
        call_command("audit", whole=True, jobs=1)
    assert f"{LEAVES}: {days[0]}" in capsys.readouterr().err


def test_a_seal_never_changes_in_the_database(days: list[str]) -> None:
    for sql in ("UPDATE payouts_dailytree SET seal = ''", "UPDATE payouts_dailytree SET hashes = hashes"):
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
