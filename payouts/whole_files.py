"""Files whose payouts a bank debits as a whole, as most do of bulk payments 代发: one row of the statement for all of
them, and back, one by one or together, what it could not pay.

These rows are in no ledger entry of their own: the bank's word on each payout is, as everywhere. What a file was
debited for and given back is held against that word: nothing is owed back once each of its payouts has either arrived
or been given back. What fits exactly is booked when it is read; what fits less well takes two people.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from payouts.banks import by_file
from payouts.banks.base import FILE_NUMBER, Movement
from payouts.models import Attempt, Batch, Clarification, Payout, StatementRow

# So long a bank may take to give back what it could not pay of a file; so much sooner people may ask it.
GIVEN_BACK_WITHIN = timedelta(days=3)
ASKED_AFTER = timedelta(days=1)
# How far a file may lie behind its debit to be suggested, and how many are.
LOOKED_BACK = timedelta(days=30)
SUGGESTED = 5
_SAID = Clarification.objects.filter(state=Clarification.State.AGREED)
_AGREED = _SAID.filter(kind=Clarification.Kind.FILE)

# By file: all its rows, and what of it failed by the bank's word or never left by that of two people, unless they have
# said that it had arrived all the same.
_STANDINGS = """
    WITH own AS (
        SELECT r.batch_id, r.fen, r.booked_at FROM payouts_statementrow r
         WHERE r.batch_id IS NOT NULL AND (%(batch)s::bigint IS NULL OR r.batch_id = %(batch)s)
        UNION ALL
        SELECT c.batch_id, r.fen, r.booked_at
          FROM payouts_clarification c JOIN payouts_statementrow r ON r.id = c.row_id
         WHERE c.kind = 'file' AND c.state = 'agreed' AND (%(batch)s::bigint IS NULL OR c.batch_id = %(batch)s)
    ), summed AS (SELECT batch_id, sum(fen)::bigint AS fen, min(booked_at) AS at FROM own GROUP BY batch_id)
    SELECT b.id, b.number, b.fen, s.fen, s.at, f.at, coalesce(f.fen, 0)::bigint
      FROM payouts_batch b {join} summed s ON s.batch_id = b.id
      CROSS JOIN LATERAL (
           SELECT sum(p.fen) AS fen, max(p.completed_at) AS at
             FROM payouts_attempt t JOIN payouts_payout p ON p.id = t.payout_id
            WHERE t.batch_id = b.id
              AND (t.state = 'failed' OR t.state = 'succeeded' AND EXISTS (
                   SELECT FROM payouts_clarification c
                    WHERE c.payout_id = p.id AND c.kind = 'never_left' AND c.state = 'agreed'))
              AND NOT EXISTS (
                   SELECT FROM payouts_clarification c
                    WHERE c.payout_id = p.id AND c.kind = 'arrived' AND c.state = 'agreed')) f
     WHERE b.bank = %(bank)s AND (%(batch)s::bigint IS NULL OR b.id = %(batch)s)"""


@dataclass(frozen=True)
class Standing:
    """A file: fen in it, `rows_fen` of its rows (negative: out of the account; None: it was not debited as a whole),
    what of it failed or never left, and when the debit and the last failure were."""

    batch_id: int
    number: str
    fen: int
    rows_fen: int | None
    debited_at: datetime | None
    failed_at: datetime | None
    failed_fen: int

    @property
    def kept_fen(self) -> int:
        """What arrived, or may still arrive."""
        return self.fen - self.failed_fen

    @property
    def since(self) -> datetime | None:
        """Since when the bank could have given back what it owes."""
        return max((at for at in (self.debited_at, self.failed_at) if at), default=None)

    @property
    def owed_back_fen(self) -> int:
        """What the bank has debited, could not pay, and has not given back."""
        return 0 if self.rows_fen is None else -self.rows_fen - self.kept_fen


def standings(bank: str) -> list[Standing]:
    """All files of a bank that were debited as a whole."""
    return _read("JOIN", bank, None)


def standing(batch: Batch) -> Standing:
    """How a file stands, whether it was debited as a whole or not."""
    return _read("LEFT JOIN", batch.bank, batch.pk)[0]


def _read(join: str, bank: str, batch: int | None) -> list[Standing]:
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS.format(join=join), {"bank": bank, "batch": batch})
        return [Standing(*row) for row in cursor.fetchall()]


def owed_back_fen(bank: str) -> int:
    """Fen that a bank has debited with whole files, could not pay, and has not given back."""
    return 0 if bank not in by_file() else sum(one.owed_back_fen for one in standings(bank))


def rows() -> QuerySet[StatementRow]:
    """Rows of whole files, by what they say or by the word of two people."""
    return StatementRow.objects.filter(Q(batch__isnull=False) | Q(pk__in=_AGREED.values("row")))


def rows_of(batch: Batch) -> QuerySet[StatementRow]:
    """The rows of one file."""
    return StatementRow.objects.filter(Q(batch=batch) | Q(pk__in=_AGREED.filter(batch=batch).values("row")))


def _in_debited_files() -> QuerySet[Attempt]:
    said = StatementRow.objects.filter(batch__isnull=False).values("batch")
    return Attempt.objects.filter(Q(batch__in=said) | Q(batch__in=_AGREED.values("batch")))


def debited() -> Exists:
    """Of a payout: whether the file in which it arrived was debited as a whole."""
    return Exists(_in_debited_files().filter(payout=OuterRef("pk"), state=Attempt.State.SUCCEEDED))


def to_give_back() -> Exists:
    """Of a payout: whether it failed in a file that was debited as a whole."""
    return Exists(_in_debited_files().filter(payout=OuterRef("pk"), state=Attempt.State.FAILED))


def kept_back(bank: str) -> QuerySet[Payout]:
    """Payouts that failed, or never left by people's word, in files debited as a whole and not given back."""
    owing = [one.batch_id for one in standings(bank) if one.owed_back_fen]
    never = _SAID.filter(kind=Clarification.Kind.NEVER_LEFT).values("payout")
    failed = Payout.objects.filter(Q(attempts__state=Attempt.State.FAILED) | Q(pk__in=never), attempts__batch__in=owing)
    said = _SAID.filter(kind__in=[Clarification.Kind.FILE, Clarification.Kind.ARRIVED], payout=OuterRef("pk"))
    back = StatementRow.objects.filter(kind=StatementRow.Kind.FILE, payout=OuterRef("pk"))
    return failed.filter(~Exists(back), ~Exists(said), bank=bank).order_by("completed_at", "pk")


def is_debited(payout: Payout) -> bool:
    """Whether the file a payout went in was debited as a whole: then no row of its own may follow."""
    return _in_debited_files().filter(payout=payout).exists()


def of(code: str, row: Movement, payout: Payout | None) -> Batch | None:
    """The file of which a row is the debit, or by which something of it is given back, by the number the row names.
    Only what fits exactly; `payout` is the one it names. The file is locked."""
    if payout is not None:
        failed_in = file_of_failed(payout) if row.fen > 0 else None
        batch = locked(failed_in.pk if failed_in else None)
        return batch if batch and not why_not(batch, row.fen, payout) else None
    for pk in _named(code, f"{row.out_no} {row.remittance}").values_list("pk", flat=True):
        batch = locked(pk)
        if batch is not None and not why_not(batch, row.fen) and _is_exact(batch, row.fen):
            return batch
    return None


def _named(code: str, text: str) -> QuerySet[Batch]:
    return Batch.objects.filter(bank=code, number__in=FILE_NUMBER.findall(text.lower())).defer("content").order_by("pk")


def named_by(row: StatementRow) -> list[Batch]:
    """The files whose number a row has."""
    return list(_named(row.bank, f"{row.named} {row.remittance} {row.counterparty}"))


def locked(pk: int | None) -> Batch | None:
    """The file as it is now, for whoever is to say what a row of it is; None for none."""
    return Batch.objects.select_for_update().defer("content").get(pk=pk) if pk is not None else None


def file_of(payout: Payout) -> Batch:
    """The file that a payout went in. Batch.DoesNotExist for one that went by itself."""
    return Batch.objects.defer("content").filter(attempts__payout=payout).latest("pk")


def file_of_failed(payout: Payout) -> Batch | None:
    """The file that a payout went in and failed in by the bank's word."""
    if payout.state != Payout.State.FAILED:
        return None
    files = Batch.objects.filter(attempts__payout=payout, attempts__state=Attempt.State.FAILED)
    return files.defer("content").first()


def why_not(batch: Batch, fen: int, payout: Payout | None = None) -> str:
    """Why a row of this amount cannot be a file's, in a sentence; empty when it can. `payout`: the failed one whose
    money it gives back."""
    stands = standing(batch)
    if fen < 0:
        return _why_no_debit(batch, fen, stands)
    if stands.rows_fen is None:
        return _("The statement has no debit of this file: it cannot come back.")
    if payout is not None and (is_given_back(payout) or fen != payout.fen):
        return _("This payout's money is given back already, or of another amount.")
    return "" if fen <= stands.owed_back_fen else _("By its own word the bank has less of this file to give back.")


def _why_no_debit(batch: Batch, fen: int, stands: Standing) -> str:
    """A file is debited once: for all of it, or without some of what failed."""
    if stands.rows_fen is not None:
        return _("The statement has this file's debit already.")
    if batch.state == Batch.State.WRITTEN and not batch.downloads.exists():
        return _("This file was never handed over.")
    singly = StatementRow.objects.filter(payout__attempts__batch=batch, kind=StatementRow.Kind.PAYOUT)
    said = _SAID.filter(payout__attempts__batch=batch, kind=Clarification.Kind.DEBIT, follow_up__isnull=True)
    if singly.exists() or said.exists():
        return _("Payouts of this file are debited one by one.")
    return "" if stands.kept_fen <= -fen <= batch.fen else _("The file is of another amount.")


def _is_exact(batch: Batch, fen: int) -> bool:
    """Whether what fits may be booked without people: no amount between, of no file that was refused or of which they
    have said that money never left."""
    stands = standing(batch)
    never = _SAID.filter(payout__attempts__batch=batch, kind=Clarification.Kind.NEVER_LEFT)
    exact = {stands.owed_back_fen} if fen > 0 else {-batch.fen, -stands.kept_fen}
    return fen in exact and batch.state != Batch.State.REFUSED and not never.exists()


def is_given_back(payout: Payout) -> bool:
    """Whether the bank has given a failed payout's money back, or has kept it since it had arrived."""
    back = StatementRow.objects.filter(payout=payout, kind=StatementRow.Kind.FILE)
    said = _SAID.filter(payout=payout, kind__in=[Clarification.Kind.FILE, Clarification.Kind.ARRIVED])
    return back.exists() or said.exists()


def suggestions(row: StatementRow) -> list[Batch]:
    """Files of which a row in suspense may be the debit, or by which something may be given back: those it names
    first, then those of exactly its amount, then the newest."""
    if row.bank not in by_file():
        return []
    named = {one.pk for one in named_by(row)}
    if row.fen > 0:
        fits = {
            one.batch_id: one.owed_back_fen == row.fen for one in standings(row.bank) if one.owed_back_fen >= row.fen
        }
        found = Batch.objects.filter(Q(pk__in=fits) | Q(pk__in=named))
    else:
        lately = Q(created_at__gte=row.booked_at - LOOKED_BACK, created_at__lte=row.booked_at + timedelta(days=1))
        known = [one.batch_id for one in standings(row.bank)]
        singly = StatementRow.objects.filter(payout__attempts__batch=OuterRef("pk"), kind=StatementRow.Kind.PAYOUT)
        mine = Batch.objects.filter(lately | Q(pk__in=named), ~Exists(singly), bank=row.bank, fen__gte=-row.fen)
        found = mine.exclude(pk__in=known)
        fits = {one.pk: one.fen == -row.fen for one in found.defer("content")}
    ordered = sorted(
        found.defer("content").order_by("-pk"), key=lambda one: (one.pk not in named, not fits.get(one.pk))
    )
    fitting = (one for one in ordered if not why_not(one, row.fen))
    return [one for one, _place in zip(fitting, range(SUGGESTED), strict=False)]


def why_not_the_sponsor_s(batch: Batch, fen: int) -> str:
    """Why nobody may book a row of this amount as the sponsor's that names this file, in a sentence; empty when one
    may."""
    number = {"number": batch.number}
    if not why_not(batch, fen):
        return _("This row names file %(number)s, whose it can be. Say that it belongs to it.") % number
    open_ones = [Attempt.State.SENDING, Attempt.State.ACCEPTED, Attempt.State.UNKNOWN]
    if batch.attempts.filter(state__in=open_ones).exists():
        return (
            _("This row names file %(number)s, of which the bank has not said all yet. Wait for its results.") % number
        )
    return ""
