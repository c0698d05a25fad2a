"""Approving what waits in a run, one payout or all of it, or releasing all; `payouts.sending.cancel` releases one."""

from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move, move_many
from payouts.models import Approval, Payout, Run

# As `sending.cancel` owes the money of one payout again, for many.
_ENTRIES = """
    INSERT INTO ledger_entry (reference, kind, at)
    SELECT 'reversed:' || out_no, 'reversed', %(now)s FROM payouts_payout WHERE id = ANY(%(ids)s) ORDER BY id"""

_LINES = """
    INSERT INTO ledger_line (entry_id, account_id, fen)
    SELECT e.id, x.account_id, x.fen
      FROM payouts_payout p
      JOIN ledger_entry e ON e.reference = 'reversed:' || p.out_no
      JOIN ledger_account a ON a.owner = p.household_id
      CROSS JOIN LATERAL (VALUES (%(transit)s, p.fen), (a.id, -p.fen)) x(account_id, fen)
     WHERE p.id = ANY(%(ids)s) ORDER BY e.id"""


@transaction.atomic
def approve_held(payout: Payout, *, by: User) -> None:
    """One person's word that a held payout may go; it goes once enough have given theirs.

    Whoever entered the account it goes to cannot, and nobody can twice (DomainError).
    """
    payout = Payout.objects.select_for_update().get(pk=payout.pk)
    if payout.account.entered_by_id == by.pk:
        raise DomainError("same_person", _("You entered this account: somebody else must approve the payout."), 403)
    if payout.state != Payout.State.HELD:
        raise DomainError("wrong_state", _("This payout does not wait for approval any more. Reload the page."), 409)
    if payout.approvals.filter(by=by).exists():
        raise DomainError("same_person", _("You have approved this payout: somebody else must approve it too."), 403)
    Approval.objects.create(payout=payout, by=by)
    if payout.approvals.count() >= payout.approvals_needed:
        move(payout, Payout.State.PREPARED, by=by)
        move(payout, Payout.State.APPROVED, by=by)


@transaction.atomic
def approve_run(run: Run, *, by: User, count: int, fen: int) -> int:
    """One person's word that all held payouts of a run may go, as many and as much as the person saw; returns how many
    go now because enough people have said so.

    Raises DomainError when it is another number or sum by now (409), when `by` entered an account of one of them, and
    when `by` has approved all of them.
    """
    held = _lock_held(run, count, fen)
    if any(entered_by == by.pk for _pk, _fen, entered_by in held):
        sentence = _("You entered an account that this run pays to: somebody else must approve it.")
        raise DomainError("same_person", sentence, status=403)
    approved = set(Approval.objects.filter(payout__run=run, by=by).values_list("payout", flat=True))
    mine = [pk for pk, _fen, _entered_by in held if pk not in approved]
    if not mine:
        sentence = _("You have approved these payouts: somebody else must approve them too.")
        raise DomainError("same_person", sentence, status=403)
    Approval.objects.bulk_create((Approval(payout_id=pk, by=by) for pk in mine), batch_size=2_000)
    counted = run.paid.filter(state=Payout.State.HELD).annotate(given=Count("approvals"))
    enough = list(counted.filter(given__gte=F("approvals_needed")).values_list("pk", flat=True))
    move_many(Payout.objects.filter(pk__in=enough), Payout.State.PREPARED, by=by)
    return len(move_many(Payout.objects.filter(pk__in=enough), Payout.State.APPROVED, by=by))


@transaction.atomic
def release_run(run: Run, *, by: User, count: int, fen: int, reason: str) -> int:
    """Cancels all held payouts of a run, as many and as much as the person saw: their money is owed anew. Returns how
    many. Raises DomainError without a reason, and when it is another number or sum by now (409)."""
    if not reason.strip():
        raise DomainError("no_reason", _("Write down why."))
    ids = [pk for pk, _fen, _entered_by in _lock_held(run, count, fen)]
    move_many(Payout.objects.filter(pk__in=ids), Payout.State.CANCELLED, by=by, reason=reason)
    values: dict[str, Any] = {"ids": ids, "now": timezone.now(), "transit": ledger.account(Account.Kind.TRANSIT).pk}
    with connection.cursor() as cursor:
        cursor.execute(_ENTRIES, values)
        cursor.execute(_LINES, values)
    return len(ids)


def _lock_held(run: Run, count: int, fen: int) -> list[tuple[int, int, int]]:
    """The held payouts of a run, locked in primary-key order: id, fen and who entered the account."""
    held = run.paid.filter(state=Payout.State.HELD).select_for_update(of=("self",)).order_by("pk")
    rows = list(held.values_list("pk", "fen", "account__entered_by"))
    if not rows or (len(rows), sum(row[1] for row in rows)) != (count, fen):
        sentence = _("What waits in this run has changed since you looked. Look at it again.")
        raise DomainError("changed", sentence, status=409)
    return rows
