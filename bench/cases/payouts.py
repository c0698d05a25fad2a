"""From all sinks of the world, sold and paid for, to one payout a household; and the audit over the whole of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.cases.imports import WITH_DIVISIONS
from bench.market import MARKET, vacuum
from bench.measure import Result, Setting, alternate, timed
from bench.sold import BANK, pay_all, sell_all

RUN_GOAL, MOST_GROWN_MB = 2.0, 16.0
AUDIT_S, AUDIT_JOBS, AUDIT_MB = 60.0, 2, 200.0

# What a run must come to, from the sinks themselves and not from the ledger it reads.
_OWED = "SELECT count(DISTINCT household_id), sum(price_fen)::bigint FROM purchases_sink WHERE order_id IS NOT NULL"
_WRITTEN = """
SELECT (SELECT (count(*), sum(fen), count(*) FILTER (WHERE state = 'approved'))::text FROM payouts_payout),
       (SELECT (count(*), sum(payouts), sum(fen))::text FROM payouts_run),
       (SELECT (count(*), count(DISTINCT payout_reference))::text FROM ledger_settlement),
       (SELECT (count(*), sum(l.fen) FILTER (WHERE l.fen > 0))::text FROM ledger_entry e
          JOIN ledger_line l ON l.entry_id = e.id WHERE e.kind = 'payout'),
       (SELECT (count(*), min(from_state), max(to_state))::text FROM carbonsink_statechange
         WHERE thing = 'payouts.payout')"""
_FLOOR = """
CREATE TEMP TABLE owed ON COMMIT DROP AS
SELECT a.id AS account_id, a.owner AS household_id, replace(gen_random_uuid()::text, '-', '') AS out_no,
       -sum(l.fen) AS fen
  FROM ledger_line l JOIN ledger_account a ON a.id = l.account_id
 WHERE a.kind = 'household' AND NOT EXISTS (SELECT FROM ledger_settlement s WHERE s.line_id = l.id) GROUP BY a.id;
ANALYZE owed;
INSERT INTO payouts_run (kind, bank, at, minimum_fen, payouts, fen)
SELECT 'scheduled', %(bank)s, now(), 1, count(*), sum(fen) FROM owed;
WITH written AS (
    INSERT INTO payouts_payout (run_id, household_id, account_id, bank, out_no, fen, state, created_at, bank_reference,
           held_for, approvals_needed)
    SELECT (SELECT max(id) FROM payouts_run), o.household_id, b.id, %(bank)s, o.out_no, o.fen, 'prepared', now(), '',
           '', 0
      FROM owed o JOIN payouts_bankaccount b ON b.household_id = o.household_id AND b.state = 'approved'
     ORDER BY o.household_id RETURNING id)
INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, reason, at)
SELECT 'payouts.payout', id, 'prepared', 'approved', 'within the limit', now() FROM written;
UPDATE payouts_payout SET state = 'approved';
INSERT INTO ledger_settlement (line_id, payout_reference)
SELECT l.id, o.out_no FROM ledger_line l JOIN owed o ON o.account_id = l.account_id
 WHERE NOT EXISTS (SELECT FROM ledger_settlement s WHERE s.line_id = l.id);
WITH entries AS (
    INSERT INTO ledger_entry (reference, kind, at) SELECT 'payout:' || out_no, 'payout', now() FROM owed
    RETURNING id, substr(reference, 8) AS out_no
), lines AS (
    INSERT INTO ledger_line (entry_id, account_id, fen)
    SELECT e.id, x.account_id, x.fen FROM entries e JOIN owed o ON o.out_no = e.out_no
      JOIN ledger_account t ON t.code = 'transit'
     CROSS JOIN LATERAL (VALUES (o.account_id, o.fen), (t.id, -o.fen)) x(account_id, fen) ORDER BY e.id
    RETURNING id, entry_id, fen)
INSERT INTO ledger_settlement (line_id, payout_reference)
SELECT l.id, e.out_no FROM lines l JOIN entries e ON e.id = l.entry_id WHERE l.fen > 0"""
# Each line of a household is published when it is booked, and what a payout took again when it arrived.
_LEAVES = "SELECT 2 * count(*) - (SELECT count(*) FROM payouts_payout) FROM ledger_settlement"
# Before the first run there is no settlement and no payout.
_UNDO = """
TRUNCATE ledger_settlement;
DELETE FROM payouts_payout;
DELETE FROM payouts_run;
DELETE FROM ledger_line l USING ledger_entry e WHERE e.id = l.entry_id AND e.kind = 'payout';
DELETE FROM ledger_entry WHERE kind = 'payout';
DELETE FROM carbonsink_statechange WHERE thing = 'payouts.payout'"""


def run(setting: Setting) -> Result:
    """The run: what is owed to each household becomes a payout, settled lines and an entry. Makes its own world."""
    from django.db import connection as ours_connection

    setting.say("selling the whole market")
    ours_connection.close()
    sell_all(setting.databases, setting.scale, WITH_DIVISIONS)
    answers: list[dict[str, Any]] = []
    written: dict[str, Any] = {}
    with setting.databases.connect(MARKET) as connection:
        households, owed = connection.execute(_OWED).fetchone() or (0, 0)
        lines = connection.execute("SELECT count(*) FROM ledger_line").fetchone() or (0,)

        def ours() -> float:
            undo(connection)
            answers.append(_child(setting, "bench.payer"))
            written["ours"] = connection.execute(_WRITTEN).fetchone()
            return float(answers[-1]["seconds"])

        def floor() -> float:
            undo(connection)
            seconds: list[float] = []
            with timed(seconds), connection.transaction(), psycopg.ClientCursor(connection) as cursor:
                cursor.execute(_FLOOR, {"bank": BANK})
            written["floor"] = connection.execute(_WRITTEN).fetchone()
            return seconds[0]

        ours_s, floor_s = alternate(setting.rounds, ours, floor, setting.say)
    if written["ours"] != written["floor"]:
        raise RuntimeError(f"the two sides did not write the same: {written}")
    limits: dict[str, tuple[float, float]] = {
        "grown_mb": (round(max(answer["grown_mb"] for answer in answers), 1), MOST_GROWN_MB),
        "unpaid": (max(households - answer["payouts"] for answer in answers), 0),
        "fen_off": (max(abs(owed - answer["fen"]) for answer in answers), 0),
    }
    figures = {"payouts": households, "lines": lines[0], "fen": owed}
    return Result("payouts.run", ours_s, floor_s, goal_for(setting, RUN_GOAL), figures, limits)


def audit(setting: Setting) -> Result:
    """The audit when everything is sold, has arrived and is published, day by day of a year. The floor is the time it
    may take. Needs what `run` leaves."""
    with setting.databases.connect(MARKET) as connection:
        undo(connection)
        setting.say("paying everybody")
        _child(setting, "bench.payer")
        pay_all(connection)
        setting.say("publishing every day")
        published = _child(setting, "bench.publisher")
        setting.say(f"published {published['days']} days in {published['seconds']:.1f} s")
        vacuum(connection)
        leaves = connection.execute(_LEAVES).fetchone() or (0,)
        rows = connection.execute("SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables").fetchone() or (0,)
    answers: list[dict[str, Any]] = []

    def ours() -> float:
        answers.append(_child(setting, "bench.door", "audit", f"--jobs={AUDIT_JOBS}", "--verbosity=2"))
        return float(answers[-1]["seconds"])

    ours_s, floor_s = alternate(setting.rounds, ours, lambda: AUDIT_S, setting.say)
    for line in answers[-1]["said"][:12]:
        setting.say(line)
    limits = {
        "peak_mb": (round(max(answer["peak_mb"] for answer in answers), 1), AUDIT_MB),
        "unpublished": (abs(leaves[0] - published["leaves"]), 0.0),
    }
    figures = {"rows": rows[0], "days": published["days"], "leaves": published["leaves"]}
    figures["publishing_s"] = round(published["seconds"], 1)
    return Result("audit", ours_s, floor_s, goal_for(setting, 1.0), figures, limits)


def goal_for(setting: Setting, goal: float) -> float | None:
    """In a small world what is the same for any size weighs too much."""
    return goal if setting.scale >= 0.5 else None


def undo(connection: psycopg.Connection) -> None:
    """Takes back all that a run has written, as if there had been none."""
    connection.execute("SET session_replication_role = replica")
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(_UNDO)
    connection.execute("SET session_replication_role = DEFAULT")
    vacuum(connection)


def _signing_key(setting: Setting) -> Path:
    """The key that statements are signed with, made when it is first asked for."""
    path = setting.directory / "statements.pem"
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def _child(setting: Setting, *arguments: str) -> dict[str, Any]:
    """What a module of ours says as JSON, in a process of its own, so that its memory is its own too."""
    answer = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        # All of it at once is more than a day's run: no limit, or everything would wait for two people.
        env=os.environ
        | {
            "DATABASE_URL": setting.databases.url(MARKET),
            "PAYOUT_RUN_APPROVAL_ABOVE_FEN": "0",
            "CERTIFICATE_KEY_FILE": str(_signing_key(setting)),
        },
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"{arguments} failed: {answer.stderr[-2000:]}")
    return {**json.loads(answer.stdout), "said": answer.stderr.splitlines()}
