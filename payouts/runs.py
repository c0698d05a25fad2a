"""A run: everything owed to households becomes payouts, within the settled escrow, in a few statements.

PostgreSQL is the queue: a run only writes what is to be sent. `payouts.sending` sends it.
"""

from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.locks import only_one
from carbonsink.states import move_many
from payouts import alerts, models
from payouts.models import Payout

# Locks the accounts of the households that are owed something, in primary-key order, as refunds do. Captures only refer
# to accounts, which NO KEY UPDATE lets them: no sale waits for a run.
_LOCK = """
    SELECT array_agg(id) FROM (
        SELECT a.id FROM ledger_account a
         WHERE a.kind = 'household' AND EXISTS (
               SELECT FROM ledger_line l LEFT JOIN ledger_settlement s ON s.line_id = l.id
                WHERE l.account_id = a.id AND s.id IS NULL)
         ORDER BY a.id FOR NO KEY UPDATE) locked"""

# One payout per household whose account may be paid now; who has waited longest comes first while the escrow lasts.
# Amounts and settlements come from one look at the lines, in one statement: a capture that is committed between two
# looks would be settled and not paid.
_PAYOUTS = """
    WITH open_lines AS MATERIALIZED (
        SELECT l.id, l.fen, a.owner AS household_id
          FROM ledger_line l
          JOIN ledger_account a ON a.id = l.account_id
          LEFT JOIN ledger_settlement s ON s.line_id = l.id
         WHERE s.id IS NULL AND a.id = ANY(%(accounts)s)
    ), owed AS (
        SELECT household_id, -sum(fen)::bigint AS fen, min(id) AS oldest
          FROM open_lines GROUP BY household_id HAVING -sum(fen) >= %(minimum)s
    ), payable AS (
        SELECT o.household_id, o.fen, b.id AS account_id,
               sum(o.fen) OVER (ORDER BY o.oldest, o.household_id) AS so_far
          FROM owed o
          JOIN payouts_bankaccount b ON b.household_id = o.household_id
               AND b.state = 'approved' AND b.usable_from <= %(now)s AND b.approved_by_id <> b.entered_by_id
    ), number AS MATERIALIZED (
        SELECT nextval(pg_get_serial_sequence('payouts_run', 'id')) AS run_id
    ), written AS (
        INSERT INTO payouts_payout (run_id, household_id, account_id, bank, out_no, fen, state, created_at,
                                    bank_reference, held_for, approvals_needed)
        SELECT run_id, household_id, account_id, %(bank)s, replace(gen_random_uuid()::text, '-', ''), fen, 'prepared',
               %(now)s, '', CASE WHEN fen > %(limit)s THEN 'over_limit' ELSE '' END,
               CASE WHEN fen > %(limit)s THEN 2 ELSE 0 END
          FROM payable, number WHERE so_far <= %(available)s ORDER BY household_id
        RETURNING id, household_id, out_no, fen
    ), run AS (
        INSERT INTO payouts_run (id, kind, bank, at, minimum_fen, payouts, fen)
        SELECT run_id, %(kind)s, %(bank)s, %(now)s, %(minimum)s, count(*), sum(fen)
          FROM written, number GROUP BY run_id
    ), settled AS (
        INSERT INTO ledger_settlement (line_id, payout_reference)
        SELECT l.id, w.out_no FROM open_lines l JOIN written w ON w.household_id = l.household_id ORDER BY l.id
    )
    SELECT id FROM written ORDER BY id"""

_ENTRIES = """
    INSERT INTO ledger_entry (reference, kind, at)
    SELECT 'payout:' || out_no, 'payout', %(now)s FROM payouts_payout WHERE id = ANY(%(ids)s) ORDER BY id"""

# The household's side of the entry is settled from the start: it is the payout's own, not something owed.
_LINES = """
    WITH made AS (
        INSERT INTO ledger_line (entry_id, account_id, fen)
        SELECT e.id, x.account_id, x.fen
          FROM payouts_payout p
          JOIN ledger_entry e ON e.reference = 'payout:' || p.out_no
          JOIN ledger_account a ON a.owner = p.household_id
          CROSS JOIN LATERAL (VALUES (a.id, p.fen), (%(transit)s, -p.fen)) x(account_id, fen)
         WHERE p.id = ANY(%(ids)s) ORDER BY e.id
        RETURNING id, entry_id, fen
    )
    INSERT INTO ledger_settlement (line_id, payout_reference)
    SELECT m.id, substr(e.reference, 8) FROM made m JOIN ledger_entry e ON e.id = m.entry_id WHERE m.fen > 0"""


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Run:
    """What a run did: payouts written, fen in them, and how many wait for a second person."""

    payouts: int
    fen: int
    held: int


def available_fen(bank: str) -> int:
    """Fen that may leave: the settled escrow less what is on its way already."""
    return ledger.balance(ledger.account(Account.Kind.ESCROW, bank), ledger.account(Account.Kind.TRANSIT))


def run_payouts(bank: str | None = None) -> Run:
    """Writes one payout for each household that is owed at least the minimum and has a usable account.

    Never more in all than the settled escrow. Payouts up to PAYOUT_APPROVAL_ABOVE_FEN are approved by rule, larger
    ones are held for a person. While money in suspense is unexplained, nothing leaves. Two runs at once: the second
    does nothing.
    """
    bank = bank or settings.PAYOUT_BANK
    with only_one("payouts.run") as mine:
        if not mine:
            return Run(0, 0, 0)
        # Not what strangers transferred: each fen of it is known, and waits for a person.
        accounts = Account.objects.filter(kind=Account.Kind.SUSPENSE).exclude(code="suspense:transfers")
        unexplained = ledger.balance(*accounts)
        if unexplained:
            log.error("payouts_stopped", unexplained_fen=unexplained)
            return Run(0, 0, 0)
        if alert := alerts.stopping().first():
            log.error("payouts_stopped", alert=alert.kind, about=alert.about)
            return Run(0, 0, 0)
        with transaction.atomic(durable=True):
            ids = _write_payouts(bank)
            payouts = Payout.objects.filter(pk__in=ids)
            move_many(payouts.filter(held_for=""), Payout.State.APPROVED, reason="within the limit")
            held = move_many(payouts.exclude(held_for=""), Payout.State.HELD, reason="above the limit")
            return Run(len(ids), sum(payouts.values_list("fen", flat=True)), len(held))


def _write_payouts(bank: str) -> list[int]:
    """Payouts, the settlements of the lines they take, and their ledger entries; returns the payouts' ids."""
    values: dict[str, Any] = {
        "bank": bank,
        "kind": models.Run.Kind.SCHEDULED,
        "limit": settings.PAYOUT_APPROVAL_ABOVE_FEN,
        "now": timezone.now(),
        # What was given back may leave a household owed nothing: that is no payout.
        "minimum": max(1, settings.PAYOUT_MINIMUM_FEN),
        "transit": ledger.account(Account.Kind.TRANSIT).pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        accounts = cursor.fetchone()[0] or []
        cursor.execute(_PAYOUTS, {**values, "accounts": accounts, "available": available_fen(bank)})
        ids = [row[0] for row in cursor.fetchall()]
        if ids:
            for statement in (_ENTRIES, _LINES):
                cursor.execute(statement, {**values, "ids": ids})
    return ids
