"""The audit on several connections: the same findings, one moment, and never “all is well” when one of them fails."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from payouts import audit
from payouts.audit import running
from tests import factories
from tests.payouts import money
from tests.payouts.test_audit import everything

pytestmark = pytest.mark.django_db(transaction=True)

DIES = "a statement whose connection dies"


def by_hand(sql: str) -> None:
    """Changes what the guards keep, and commits it."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(sql)
        cursor.execute("SET session_replication_role = DEFAULT")


def found(jobs: int) -> dict[str, list[str]]:
    outcomes = list(running.check(audit.statements(), jobs))
    assert {outcome.sentence for outcome in outcomes} == set(audit.statements())
    assert len(outcomes) == len(audit.statements())
    return {outcome.sentence: sorted(outcome.offenders) for outcome in outcomes if outcome.offenders}


def test_several_connections_find_what_one_finds() -> None:
    everything()
    assert found(1) == found(2) == {}
    by_hand(
        "UPDATE payouts_payout SET fen = fen + 1; UPDATE purchases_order SET state = 'cancelled' WHERE state = 'held';"
        " UPDATE purchases_stock SET total = total + 1"
    )
    wrong = found(1)
    assert {
        "payouts whose settled lines are not their amount",
        "states of purchases.order changed outside its table",
        "stock rows that do not count their sinks",
    } <= set(wrong)
    assert found(2) == found(3) == wrong


def test_all_connections_see_the_moment_at_which_it_began() -> None:
    everything()
    checking = running.check(audit.statements(), 2)
    outcomes = [next(checking)]
    by_hand("UPDATE purchases_stock SET total = total + 1")
    outcomes += checking
    assert [outcome.sentence for outcome in outcomes if outcome.offenders] == []
    assert set(found(2)) == {"stock rows that do not count their sinks"}


def test_a_connection_that_fails_ends_the_audit_with_an_error(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(audit.CHECKS, DIES, "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommandError, match="broken off, nothing is known") as failed:
        call_command("audit", jobs=2)
    assert failed.value.returncode == 2
    assert "hold" not in capsys.readouterr().out.replace("household", "")


def test_who_stops_asking_stops_the_connections(monkeypatch: Any) -> None:
    factories.market(1)
    slow = {"at once": [("SELECT 1 WHERE false", None)], "for an hour": [("SELECT pg_sleep(3600)", None)]}
    checking = running.check(slow, 2)
    assert next(checking).sentence == "at once"
    checking.close()  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'")
        assert cursor.fetchone() == (0,)


def test_the_command_checks_only_what_is_asked_for(capsys: Any) -> None:
    everything()
    by_hand("UPDATE purchases_stock SET total = total + 1")
    call_command("audit", only="payouts", jobs=2)
    assert "payouts whose settled lines" in capsys.readouterr().out
    with pytest.raises(CommandError, match="1 statements do not hold"):
        call_command("audit", only="stock rows")
    with pytest.raises(CommandError, match="No statement has the words"):
        call_command("audit", only="no such words")


def test_the_command_says_how_long_each_took(capsys: Any) -> None:
    factories.market(2)
    money.settle(100)
    call_command("audit", jobs=2, verbosity=2)
    said = capsys.readouterr().out
    for sentence in audit.statements():
        assert f" s  {sentence}" in said
    assert f"All {len(audit.CHECKS)} statements hold" in said
