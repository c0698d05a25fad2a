"""The ledger's verbs and the command that checks it."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsink.ledger.models import Account, Entry, Line
from carbonsink.ledger.services import AlreadyPosted, account, balance, post, settle, unsettled
from tests.ground.threads import at_once

KINDS = [Account.Kind.GATEWAY, Account.Kind.ESCROW, Account.Kind.FEES, Account.Kind.SPONSOR, Account.Kind.SUSPENSE]
GUARDS = [
    ("ledger_line_balanced", "ledger_line"), ("ledger_entry_has_lines", "ledger_entry"),
    ("ledger_entry_append_only", "ledger_entry"), ("ledger_line_append_only", "ledger_line"),
    ("ledger_settlement_append_only", "ledger_settlement"), ("ledger_entry_no_truncate", "ledger_entry"),
    ("ledger_line_no_truncate", "ledger_line"), ("ledger_settlement_no_truncate", "ledger_settlement"),
    ("ledger_account_append_only", "ledger_account"), ("ledger_account_no_truncate", "ledger_account"),
]  # fmt: skip


@pytest.mark.django_db
def test_an_entry_is_posted_with_its_lines() -> None:
    escrow, sponsor, fees = (account(kind) for kind in (KINDS[1], KINDS[3], KINDS[2]))
    entry = post("r1", "kind", {escrow: 500, sponsor: -500, fees: 0})
    assert list(entry.lines.order_by("pk").values_list("account__code", "fen")) == [("escrow", 500), ("sponsor", -500)]
    assert (balance(escrow), balance(sponsor), balance(fees), balance(escrow, sponsor)) == (500, -500, 0, 0)
    assert account(KINDS[1]) == escrow


@pytest.mark.django_db
@pytest.mark.parametrize("amounts", [(), (5,), (5, -4), (0, 0), (7, 0)])
def test_an_entry_that_does_not_balance_is_a_programming_error_and_leaves_nothing(amounts: tuple[int, ...]) -> None:
    accounts = [account(kind) for kind in KINDS]
    with pytest.raises(ValueError, match="does not balance"):
        post("r1", "kind", dict(zip(accounts, amounts, strict=False)))
    assert (Entry.objects.count(), Line.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_reference_is_posted_once_and_the_transaction_goes_on() -> None:
    escrow, sponsor = account(KINDS[1]), account(KINDS[3])
    post("r1", "kind", {escrow: 500, sponsor: -500})
    with pytest.raises(AlreadyPosted, match="r1"):
        post("r1", "kind", {escrow: 7, sponsor: -7})
    post("r2", "kind", {escrow: 1, sponsor: -1})
    assert balance(escrow) == 501
    assert list(Entry.objects.order_by("pk").values_list("reference", flat=True)) == ["r1", "r2"]


@pytest.mark.django_db(transaction=True)
def test_a_reference_posted_by_many_at_once_is_booked_once() -> None:
    escrow, sponsor = account(KINDS[1]), account(KINDS[3])
    results = at_once(*[lambda: post("r1", "kind", {escrow: 500, sponsor: -500})] * 10)
    assert sorted(type(result).__name__ for result in results) == ["AlreadyPosted"] * 9 + ["Entry"]
    assert (balance(escrow), Line.objects.count()) == (500, 2)


@pytest.mark.django_db
@given(
    st.lists(
        st.dictionaries(st.sampled_from(KINDS[:4]), st.integers(-(10**12), 10**12).filter(bool), min_size=1),
        max_size=6,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_posted_the_books_sum_to_zero(entries: list[dict[Any, int]]) -> None:
    wanted: dict[str, int] = {}
    already = {kind: balance(account(kind)) for kind in KINDS}
    count = Entry.objects.count()
    for number, amounts in enumerate(entries):
        rest = -sum(amounts.values())
        if not rest:
            continue
        count += 1
        whole = {**amounts, Account.Kind.SUSPENSE: rest}
        post(f"{Entry.objects.count()}-{number}", "kind", {account(kind): fen for kind, fen in whole.items()})
        for kind, fen in whole.items():
            wanted[kind] = wanted.get(kind, 0) + fen
    assert Entry.objects.count() == count
    assert Line.objects.aggregate(fen=Sum("fen", default=0))["fen"] == 0
    assert {kind: balance(account(kind)) - already[kind] for kind in KINDS} == {k: wanted.get(k, 0) for k in KINDS}


@pytest.mark.django_db
def test_settled_lines_are_not_owed_any_more() -> None:
    escrow, sponsor = account(KINDS[1]), account(KINDS[3])
    for number in range(3):
        post(f"r{number}", "kind", {escrow: -100, sponsor: 100})
    first, second, third = Line.objects.filter(account=escrow).order_by("pk")
    settle([first.pk, third.pk], "payout1")
    assert list(unsettled(Line.objects.filter(account=escrow))) == [second]


@pytest.mark.django_db
def test_check_ledger_is_content_and_shows_balances() -> None:
    post("r1", "kind", {account(KINDS[1], "x"): 123_456, account(KINDS[3]): -123_456})
    out = io.StringIO()
    call_command("check_ledger", stdout=out)
    assert [line.split() for line in out.getvalue().splitlines()[:2]] == [
        ["escrow", "1234.56"],
        ["sponsor", "-1234.56"],
    ]
    assert out.getvalue().endswith("The ledger holds together.\n")


@pytest.mark.django_db
@pytest.mark.parametrize(("guard", "table"), GUARDS)
@pytest.mark.parametrize("how", ["DROP TRIGGER {guard} ON {table}", "ALTER TABLE {table} DISABLE TRIGGER {guard}"])
def test_check_ledger_names_a_guard_that_is_gone(guard: str, table: str, how: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(how.format(guard=guard, table=table))
    with pytest.raises(CommandError, match=guard) as failed:
        call_command("check_ledger", stdout=io.StringIO())
    assert failed.value.returncode == 1
    assert [other for other, _ in GUARDS if other in str(failed.value)] == [guard]


@pytest.mark.django_db
def test_check_ledger_names_what_a_missing_guard_let_in() -> None:
    escrow = account(KINDS[1])
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER ledger_line_balanced ON ledger_line")
        cursor.execute("INSERT INTO ledger_entry (reference, kind, at) VALUES ('lopsided', 'x', now()) RETURNING id")
        entry = cursor.fetchone()[0]
        cursor.execute(
            "INSERT INTO ledger_line (entry_id, account_id, fen) VALUES (%s, %s, 5) RETURNING id", [entry, escrow.pk]
        )
        line = cursor.fetchone()[0]
    settle([line], "payout1")
    with pytest.raises(CommandError, match=f"fewer than 2 lines: lopsided; .* not a household's: {line}"):
        call_command("check_ledger", stdout=io.StringIO())
