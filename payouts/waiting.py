"""What is owed to households and gets no payout now, and why."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import TextChoices
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from payouts import runs


class Reason(TextChoices):
    """Why a household's money waits; in the order in which somebody should do something about it."""

    BOUNCED = "bounced", _("The bank could not pay into the account: the household must give a new one.")
    STOPPED = "stopped", _("A change of the account was stopped: finance decides which account is right.")
    NO_ACCOUNT = "no_account", _("The household has no bank account yet: the officer enters one.")
    REJECTED = "rejected", _("The account was rejected: the officer enters the right one.")
    ENTERED = "entered", _("The account waits for somebody to approve it.")
    FLAGGED = "flagged", _("The household is flagged: two people must approve the payout.")
    AFTER_FILE = (
        "after_file",
        _("A file said that the payout before failed or came back: two people must approve this one."),
    )
    OVER_LIMIT = "over_limit", _("The amount is above the limit: two people must approve the payout.")
    LARGE_RUN = "large_run", _("The whole run is above the limit: two people must approve it.")
    ESCROW = "escrow", _("The supervised account does not hold enough yet.")
    COOLING = "cooling", _("The account was changed and cools before money goes there.")
    MINIMUM = "minimum", _("It is less than the least that is paid out before the year's end.")
    LEAST = "least", _("It is less than the bank transfers at all: it waits until more has come.")
    NEXT_RUN = "next_run", _("It goes with the next run.")


# Reasons that end by themselves.
PATIENCE = {Reason.ESCROW, Reason.COOLING, Reason.MINIMUM, Reason.LEAST, Reason.NEXT_RUN}

# What no payout has taken, then what held payouts have. The escrow goes to who has waited longest, as in a run; of some
# households only, each is compared with what is there. What a payout had taken before does not wait for the minimum, as
# in a run.
_WAITING = """
    WITH owed AS (
        SELECT a.owner AS household_id, -sum(l.fen)::bigint AS fen, min(l.id) AS oldest
          FROM ledger_line l
          JOIN ledger_account a ON a.id = l.account_id AND a.kind = 'household'
          LEFT JOIN ledger_settlement s ON s.line_id = l.id
         WHERE s.line_id IS NULL AND (%(all)s OR a.owner = ANY(%(ids)s))
         GROUP BY a.owner HAVING -sum(l.fen) > 0
    ), placed AS (
        SELECT o.*, e.at AS since, b.usable_from, newest.state AS newest, newest.approved_by_id AS newest_approved_by,
               EXISTS (SELECT FROM payouts_bankaccount c WHERE c.household_id = o.household_id AND c.state = 'bounced')
                   AS bounced,
               o.fen >= CASE WHEN e.at < %(year_end)s OR o.fen < %(minimum)s AND EXISTS (
                                  SELECT FROM payouts_payout f
                                    JOIN ledger_entry r ON r.reference = 'reversed:' || f.out_no
                                    JOIN ledger_line c ON c.entry_id = r.id AND c.fen < 0
                                   WHERE f.household_id = o.household_id
                                     AND f.state IN ('failed', 'returned', 'cancelled')
                                     AND NOT EXISTS (SELECT FROM ledger_settlement t WHERE t.line_id = c.id))
                             THEN %(least)s ELSE %(minimum)s END
                   AND coalesce(b.usable_from <= %(now)s, false) AS payable
          FROM owed o JOIN ledger_line l ON l.id = o.oldest JOIN ledger_entry e ON e.id = l.entry_id
          LEFT JOIN payouts_bankaccount b ON b.household_id = o.household_id AND b.state = 'approved'
          LEFT JOIN LATERAL (
               SELECT v.state, v.approved_by_id FROM payouts_bankaccount v WHERE v.household_id = o.household_id
                ORDER BY v.version DESC LIMIT 1) newest ON true
    ), summed AS (
        SELECT p.*, sum(fen) FILTER (WHERE payable) OVER (ORDER BY oldest, household_id) AS so_far FROM placed p
    )
    SELECT w.household_id, w.fen, w.since,
           CASE WHEN w.usable_from > %(now)s THEN 'cooling'
                WHEN w.payable THEN CASE WHEN w.so_far > %(available)s THEN 'escrow' ELSE 'next_run' END
                WHEN w.usable_from IS NOT NULL THEN CASE WHEN w.fen < %(least)s THEN 'least' ELSE 'minimum' END
                WHEN w.newest IS NULL THEN 'no_account'
                WHEN w.newest = 'entered' THEN 'entered'
                WHEN w.bounced THEN 'bounced'
                WHEN w.newest_approved_by IS NOT NULL THEN 'stopped'
                ELSE 'rejected' END AS reason
      FROM summed w
    UNION ALL
    SELECT p.household_id, p.fen, p.created_at, p.held_for
      FROM payouts_payout p WHERE p.state = 'held' AND (%(all)s OR p.household_id = ANY(%(ids)s))
    ORDER BY 3, 1"""


@dataclass(frozen=True)
class Waiting:
    """What a household waits for: fen, since when, and why."""

    household_id: int
    fen: int
    since: datetime
    reason: str


def waiting(household_ids: Collection[int] | None = None, bank: str | None = None) -> list[Waiting]:
    """Everything that waits, or what waits for some households; who has waited longest comes first. One query."""
    bank = bank or settings.PAYOUT_BANK
    values: dict[str, Any] = {
        "all": household_ids is None,
        "ids": list(household_ids or []),
        "now": timezone.now(),
        **runs.limits(bank, runs.kind_of_today()),
        "available": runs.available_fen(bank),
    }
    with connection.cursor() as cursor:
        cursor.execute(_WAITING, values)
        return [Waiting(*row) for row in cursor.fetchall()]


def reasons(household_ids: Collection[int]) -> dict[int, Reason]:
    """Why each of these households waits for what it is owed; those that wait for nothing are left out. Of two reasons
    it is the one that needs somebody's help first."""
    order = list(Reason.values)
    found: dict[int, Reason] = {}
    for row in sorted(waiting(household_ids), key=lambda row: order.index(row.reason), reverse=True):
        found[row.household_id] = Reason(row.reason)
    return found
