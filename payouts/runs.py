"""A run: everything owed to households becomes payouts, within the settled escrow, in a few statements.

PostgreSQL is the queue: a run only writes what is to be sent. `payouts.sending` sends it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.locks import only_one
from carbonsink.states import move_many
from payouts import alerts, models, whole_files
from payouts.alert_kinds import kind_of
from payouts.banks import by_file, least_fen
from payouts.models import Payout
from trees.models import Flag

# Locks the accounts of the households that are owed something, in primary-key order, as refunds do. Captures only refer
# to accounts, which NO KEY UPDATE lets them: no sale waits for a run.
_LOCK = """
    SELECT array_agg(id) FROM (
        SELECT a.id FROM ledger_account a
         WHERE a.kind = 'household' AND EXISTS (
               SELECT FROM ledger_line l LEFT JOIN ledger_settlement s ON s.line_id = l.id
                WHERE l.account_id = a.id AND s.line_id IS NULL)
         ORDER BY a.id FOR NO KEY UPDATE) locked"""

# One payout per household whose account may be paid now; who has waited longest comes first while the escrow lasts.
# Amounts and settlements come from one look at the lines, in one statement: a capture that is committed between two
# looks would be settled and not paid. What failed or came back by the word of a file is owed again, and any one person
# may bring a file: whatever takes that money waits for two, through all payouts that had it since. What a payout had
# taken, however it ended, does not wait for the minimum anew. Each step is a look at one row: no join may be by loops.
_PAYOUTS = """
    WITH RECURSIVE open_lines AS MATERIALIZED (
        SELECT l.id, l.fen, a.owner AS household_id
          FROM ledger_line l
          JOIN ledger_account a ON a.id = l.account_id
          LEFT JOIN ledger_settlement s ON s.line_id = l.id
         WHERE s.line_id IS NULL AND a.id = ANY(%(accounts)s)
    ), owed AS (
        SELECT household_id, -sum(fen)::bigint AS fen, min(id) AS oldest
          FROM open_lines GROUP BY household_id HAVING -sum(fen) >= %(least)s
    ), given_back AS MATERIALIZED (
        SELECT f.bank, f.state, (
               SELECT l.id FROM ledger_line l WHERE l.fen < 0 AND l.entry_id = (
                      SELECT e.id FROM ledger_entry e WHERE e.reference = 'reversed:' || f.out_no)) AS line_id
          FROM payouts_payout f WHERE f.state IN ('failed', 'returned', 'cancelled')
    ), taken_before AS MATERIALIZED (
        SELECT DISTINCT l.household_id FROM open_lines l JOIN given_back g ON g.line_id = l.id
    ), payable AS (
        SELECT o.household_id, o.fen, b.id AS account_id,
               sum(o.fen) OVER (ORDER BY o.oldest, o.household_id) AS so_far
          FROM owed o
          JOIN payouts_bankaccount b ON b.household_id = o.household_id
               AND b.state = 'approved' AND b.usable_from <= %(now)s AND b.approved_by_id <> b.entered_by_id
         WHERE o.fen >= %(minimum)s OR %(year_end)s > (
               SELECT e.at FROM ledger_entry e
                WHERE e.id = (SELECT l.entry_id FROM ledger_line l WHERE l.id = o.oldest))
            OR o.household_id IN (SELECT household_id FROM taken_before)
    ), owed_again (line_id) AS (
        SELECT line_id FROM given_back WHERE state <> 'cancelled' AND bank = ANY(%(files)s)
         UNION
        SELECT (SELECT l.id FROM ledger_line l WHERE l.fen < 0 AND l.entry_id = (
                       SELECT e.id FROM ledger_entry e WHERE e.reference = 'reversed:' || (
                              SELECT s.payout_reference FROM ledger_settlement s WHERE s.line_id = o.line_id)))
          FROM owed_again o WHERE o.line_id IS NOT NULL
    ), undone_by_file AS (
        SELECT l.household_id FROM owed_again JOIN open_lines l ON l.id = line_id
    ), chosen AS (
        SELECT p.*, CASE WHEN p.household_id IN (
                              SELECT household_id FROM trees_flag
                               WHERE settled_at IS NULL AND tree_id IS NULL AND kind = ANY(%(flags)s)) THEN 'flagged'
                         WHEN p.household_id IN (SELECT household_id FROM undone_by_file) THEN 'after_file'
                         WHEN p.fen > %(limit)s THEN 'over_limit'
                         WHEN %(run_limit)s > 0 AND sum(p.fen) OVER () > %(run_limit)s THEN 'large_run'
                         ELSE '' END AS held_for
          FROM payable p WHERE p.so_far <= %(available)s
    ), number AS MATERIALIZED (
        SELECT nextval(pg_get_serial_sequence('payouts_run', 'id')) AS run_id
    ), written AS (
        INSERT INTO payouts_payout (run_id, household_id, account_id, bank, out_no, fen, state, created_at,
                                    bank_reference, held_for, approvals_needed)
        SELECT run_id, household_id, account_id, %(bank)s, replace(gen_random_uuid()::text, '-', ''), fen, 'prepared',
               %(now)s, '', held_for, CASE held_for WHEN '' THEN 0 ELSE %(approvals)s END
          FROM chosen, number ORDER BY household_id
        RETURNING id, household_id, out_no, fen
    ), run AS (
        INSERT INTO payouts_run (id, kind, bank, at, minimum_fen, payouts, fen, started_by_id)
        SELECT run_id, %(kind)s, %(bank)s, %(now)s, %(minimum)s, count(*), sum(fen), %(by)s
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

# Flags that hold a household's payouts until two people have looked: those about who the household is. What was said of
# a tree was settled by the review that approved it.
HOLDING_FLAGS = Flag.ABOUT_HOUSEHOLDS
# How many people a held payout needs; none of them entered the account.
APPROVALS = 2


@dataclass(frozen=True)
class Run:
    """What a run did: payouts written, fen in them, how many wait for two people, and its number if it wrote any."""

    payouts: int
    fen: int
    held: int
    pk: int | None = field(default=None, compare=False)


def available_fen(bank: str) -> int:
    """Fen that may leave: the settled escrow less what is on its way already, and what the bank has to give back."""
    there = ledger.balance(ledger.account(Account.Kind.ESCROW, bank), ledger.account(Account.Kind.TRANSIT))
    return there - whole_files.owed_back_fen(bank)


def kind_of_today() -> models.Run.Kind:
    """The kind of a run by schedule: on the day PAYOUT_YEAR_END each household is paid, however little it is owed."""
    is_last = f"{timezone.localdate():%m-%d}" == settings.PAYOUT_YEAR_END
    return models.Run.Kind.YEAR_END if is_last else models.Run.Kind.SCHEDULED


def last_year_end() -> datetime:
    """The end of the newest PAYOUT_YEAR_END day that is over. What was owed then goes with the next run, however little
    it is: a night may be missed, and money or an account may be late."""
    month, day = map(int, settings.PAYOUT_YEAR_END.split("-"))
    today = timezone.localdate()
    this_year = date(today.year, month, day)
    newest = this_year if this_year < today else date(today.year - 1, month, day)
    return timezone.make_aware(datetime.combine(newest + timedelta(days=1), time.min))


def limits(bank: str, kind: str) -> dict[str, Any]:
    """What a household must be owed to be paid by a run of this kind: the minimum, or no less than the bank transfers
    where it was owed at the last year's end or a payout had taken it before. Owed nothing, since all was given back, is
    no payout."""
    least = least_fen(bank)
    minimum = least if kind == models.Run.Kind.YEAR_END else max(least, settings.PAYOUT_MINIMUM_FEN)
    return {"least": least, "minimum": minimum, "year_end": last_year_end()}


def why_stopped() -> str:
    """Why no run starts: a sentence for people, empty when nothing stands in the way."""
    # Not what strangers transferred: each fen of it is known, and waits for a person.
    accounts = Account.objects.filter(kind=Account.Kind.SUSPENSE).exclude(code="suspense:transfers")
    if ledger.balance(*accounts):
        return _("The bank's statement has money that nobody has explained. Nothing is paid before somebody does.")
    alert = alerts.stopping().first()
    # An alert stops runs by being there, whether or not it has more to say than its kind.
    return (alert.text or str(kind_of(alert.kind).title)) if alert else ""


def run_payouts(
    bank: str | None = None, *, kind: models.Run.Kind = models.Run.Kind.SCHEDULED, by: User | None = None
) -> Run:
    """Writes one payout for each household that is owed at least the minimum, or anything since before the last year's
    end, or anything that a payout had taken before, and has a usable account.

    Never more in all than the settled escrow. Payouts above PAYOUT_APPROVAL_ABOVE_FEN, of flagged households, and all
    of a run above PAYOUT_RUN_APPROVAL_ABOVE_FEN wait for two people; the others are approved by rule. While money in
    suspense is unexplained, or an alert says so, nothing leaves. Two runs at once: the second does nothing.
    """
    bank = bank or settings.PAYOUT_BANK
    with only_one("payouts.run") as mine:
        if not mine:
            return Run(0, 0, 0)
        if stopped := why_stopped():
            log.error("payouts_stopped", why=stopped)
            return Run(0, 0, 0)
        with transaction.atomic(durable=True):
            ids = _write_payouts(bank, kind, by)
            if not ids:
                return Run(0, 0, 0)
            run = models.Run.objects.get(paid=ids[0])
            move_many(run.paid.filter(held_for=""), Payout.State.APPROVED, reason="within the limits")
            held = move_many(run.paid.exclude(held_for=""), Payout.State.HELD, reason="waits for two people")
            return Run(run.payouts, run.fen, len(held), run.pk)


def _write_payouts(bank: str, kind: models.Run.Kind, by: User | None) -> list[int]:
    """Payouts, the settlements of the lines they take, and their ledger entries; returns the payouts' ids."""
    values: dict[str, Any] = {
        "bank": bank,
        "kind": kind,
        "by": by.pk if by else None,
        "limit": settings.PAYOUT_APPROVAL_ABOVE_FEN,
        "run_limit": settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN,
        "approvals": APPROVALS,
        "flags": list(HOLDING_FLAGS),
        "files": by_file(),
        "now": timezone.now(),
        **limits(bank, kind),
        "transit": ledger.account(Account.Kind.TRANSIT).pk,
    }
    with connection.cursor() as cursor:
        # Nobody can estimate how many lines are unsettled. Taken for few, they would be compared with every payout, one
        # by one: hours instead of a minute for 3.5 million.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(_LOCK)
        accounts = cursor.fetchone()[0] or []
        cursor.execute(_PAYOUTS, {**values, "accounts": accounts, "available": available_fen(bank)})
        ids = [row[0] for row in cursor.fetchall()]
        if ids:
            for statement in (_ENTRIES, _LINES):
                cursor.execute(statement, {**values, "ids": ids})
    return ids
