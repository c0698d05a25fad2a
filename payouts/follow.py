"""Following the money: order → payment → ledger line → payout → attempt → bank reference → statement row, and back.

A line of a capture is owed to a household for all its trees of the order together, and a payout takes all that is owed
to a household: so a tree shares its line, and a line its payout, and both are said. What failed or came back is
followed to the payout that took its money anew. However long the chains are, the number of queries stays the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Prefetch, Q

from carbonsink.ledger.models import Entry
from carbonsink.states import StateChange
from payouts.leaves import ORDER_OF_ENTRY
from payouts.models import Attempt, Batch, Clarification, Payout, StatementRow
from purchases import replacements
from purchases.models import Certificate, Order, Payment, Refund, Sink
from purchases.proceeds import (
    arrived_reference,
    capture_reference,
    giveback_reference,
    reversed_reference,
    sent_reference,
)
from trees.models import Household

# Lines of an order, or of a payout, that are shown.
SHOWN = 50

# Lines of households with their entry, order, and how many and how much there are in all, the largest first.
_LINES = f"""
    SELECT l.id, a.owner, -l.fen, e.kind, e.reference, e.at, d.day, o.id, o.number, o.price_fen,
           count(*) OVER (), (-sum(l.fen) OVER ())::bigint
      FROM ledger_line l
      JOIN ledger_account a ON a.id = l.account_id AND a.kind = 'household'
      JOIN ledger_entry e ON e.id = l.entry_id {ORDER_OF_ENTRY}
      LEFT JOIN payouts_publishedentry p ON p.entry_id = e.id
      LEFT JOIN payouts_dailystatement d ON d.id = p.statement_id"""  # noqa: S608
_OF_ENTRIES = f"""{_LINES}
     WHERE e.reference = ANY(%(references)s) AND (%(owners)s::bigint[] IS NULL OR a.owner = ANY(%(owners)s))
     ORDER BY l.fen, l.id LIMIT %(most)s"""
_OF_PAYOUT = f"""{_LINES}
      JOIN ledger_settlement s ON s.line_id = l.id
     WHERE s.payout_reference = %(out_no)s AND e.kind <> 'payout' ORDER BY l.id LIMIT %(most)s"""

# By line, the payouts that took it, one after the other: each took what the one before gave back.
_WAYS = """
    WITH RECURSIVE way(root, line_id, account_id, turn) AS (
        SELECT l.id, l.id, l.account_id, 1 FROM ledger_line l WHERE l.id = ANY(%(lines)s)
        UNION ALL
        SELECT w.root, again.id, w.account_id, w.turn + 1 FROM way w
          JOIN ledger_settlement s ON s.line_id = w.line_id
          JOIN ledger_entry e ON e.reference = 'reversed:' || s.payout_reference
          JOIN ledger_line again ON again.entry_id = e.id AND again.account_id = w.account_id
    )
    SELECT w.root, s.payout_reference FROM way w JOIN ledger_settlement s ON s.line_id = w.line_id
     ORDER BY w.root, w.turn"""


@dataclass(frozen=True)
class Line:
    """What a household is owed by one entry; fen negative for what was given back. `trees` it pays for."""

    pk: int
    household_id: int
    fen: int
    kind: str
    reference: str
    at: datetime
    published: date | None
    order_id: int | None
    order_number: str | None
    price_fen: int | None

    @property
    def trees(self) -> int | None:
        """How many trees it is the price of; None where it is of no order."""
        return abs(self.fen) // self.price_fen if self.price_fen else None


@dataclass(frozen=True)
class Moment:
    """When a ledger entry was written, and in which daily statement it is."""

    at: datetime
    published: date | None


@dataclass
class Leg:
    """A payout and what became of it."""

    payout: Payout
    taken: Moment | None = None
    arrived: Moment | None = None
    reversed: Moment | None = None
    reason: str = ""
    clarified: Sequence[Clarification] = ()

    @property
    def attempts(self) -> list[Attempt]:
        """Its calls of the bank, oldest first."""
        return sorted(self.payout.attempts.all(), key=lambda one: one.pk)

    @property
    def rows(self) -> list[StatementRow]:
        """What the bank's statement has of it, or of the whole file in which it arrived, oldest first."""
        files = [one.batch for one in self.attempts if one.state == Attempt.State.SUCCEEDED and one.batch]
        debits = [row for file in files for row in file.statement_rows.all() if row.fen < 0]
        return sorted([*self.payout.statement_rows.all(), *debits], key=lambda one: one.pk)


@dataclass
class Branch:
    """A line with its household and the payouts that took it; `mine` of its trees are what was asked for."""

    line: Line
    household: Household
    legs: list[Leg]
    mine: int | None = None


@dataclass
class Chain:
    """All that was found. `more` lines are not shown; `file`: the one that `row` is of."""

    order: Order | None = None
    payments: list[Payment] = field(default_factory=list)
    branches: list[Branch] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    row: StatementRow | None = None
    file: Batch | None = None
    lines: int = 0
    lines_fen: int = 0

    @property
    def more(self) -> int:
        """How many lines are not shown."""
        return self.lines - len(self.branches)


def of_order(order: Order, *, owners: Sequence[int] | None = None, references: Iterable[str] = ()) -> Chain:
    """The chain of an order: its payments, and each household's line to the bank. With `owners` only theirs, with
    `references` only of these entries."""
    payments = list(order.payments.prefetch_related("refunds").order_by("pk"))
    wanted = set(references) or _references(order, payments)
    found, lines, fen = _lines(_OF_ENTRIES, references=sorted(wanted), owners=owners)
    branches = _branches(found)
    return Chain(order, payments, branches, lines=lines, lines_fen=fen)


def _references(order: Order, payments: Iterable[Payment]) -> set[str]:
    """The entries by which households are owed an order's money, or it was taken back from them."""
    captures = {capture_reference(one) for one in payments}
    back = _givebacks(refund for one in payments for refund in one.refunds.all())
    stood_in = order.replacements.values_list("old_sink", flat=True)
    return captures | back | {replacements.replacement_reference(sink) for sink in stood_in}


def _givebacks(refunds: Iterable[Refund]) -> set[str]:
    """The entries by which refunds took their money back, from whose trees were sold or stood in."""
    return {giveback_reference(one, stand_in=stand_in) for one in refunds for stand_in in (False, True)}


def of_sink(sink: Sink) -> Chain | None:
    """The chain of one sink: the line that its household is owed for it, shared with others of the order. None for one
    that was never sold, or whose order was never paid."""
    release = sink.releases.select_related("order").order_by("pk").last()
    order = sink.order or (release.order if release else None)
    if order is None or order.paid_at is None:
        return None
    payment = replacements.paid_by(order)
    owed_by, _open = replacements.owed(payment, {sink.pk: sink.household_id})
    released = sink.releases.filter(order=order, refund__isnull=False).select_related("refund")
    references = {owed_by[sink.pk], *_givebacks(one.refund for one in released if one.refund)}
    chain = of_order(order, owners=[sink.household_id], references=references)
    for branch in chain.branches:
        branch.mine = 1
    return chain


def of_certificate(certificate: Certificate) -> Chain:
    """The chain of the households whose trees a certificate covers, with how many of each line's trees are its."""
    counted = certificate.sinks.order_by().values_list("household").annotate(trees=Count("pk"))
    mine = dict(counted)
    chain = of_order(certificate.order, owners=list(mine))
    for branch in chain.branches:
        branch.mine = mine.get(branch.line.household_id, 0)
    return chain


def of_payout(payout: Payout) -> Chain:
    """The chain of a payout, both ways: the lines it took, and what became of it and of what gave its money back."""
    found, lines, fen = _lines(_OF_PAYOUT, out_no=payout.out_no)
    again = _reversal_lines([payout.out_no])
    ways = _ways(again.values())
    later = [out_no for line in again.values() for out_no in ways.get(line, [])]
    legs = _legs([payout.out_no, *later])
    households = Household.objects.select_related("village").in_bulk({line.household_id for line in found})
    branches = [Branch(line, households[line.household_id], []) for line in found]
    return Chain(
        branches=branches,
        legs=[legs[out_no] for out_no in (payout.out_no, *later)],
        lines=lines,
        lines_fen=fen,
    )


def of_row(row: StatementRow) -> Chain:
    """The chain of a row of the bank's statement: its payout's, if only by the word of two people, or none, and
    the file it is of, whose payouts are told by `follow_many`."""
    agreed = row.clarifications.filter(state=Clarification.State.AGREED)
    said = agreed.select_related("payout", "batch").defer("batch__content").first()
    payout, file = (said.payout, said.batch) if said else (row.payout, row.batch)
    chain = of_payout(payout) if payout else Chain()
    chain.row, chain.file = row, file
    return chain


def _lines(query: str, **values: Any) -> tuple[list[Line], int, int]:
    with connection.cursor() as cursor:
        cursor.execute(query, {**values, "most": SHOWN})
        rows = cursor.fetchall()
    return [Line(*row[:-2]) for row in rows], rows[0][-2] if rows else 0, rows[0][-1] if rows else 0


def _branches(lines: Sequence[Line]) -> list[Branch]:
    ways = _ways(line.pk for line in lines)
    legs = _legs({out_no for way in ways.values() for out_no in way})
    households = Household.objects.select_related("village").in_bulk({line.household_id for line in lines})
    return [
        Branch(line, households[line.household_id], [legs[out_no] for out_no in ways.get(line.pk, [])])
        for line in lines
    ]


def _ways(lines: Iterable[int]) -> dict[int, list[str]]:
    """By line, the numbers of the payouts that took it, one after the other."""
    found: dict[int, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_WAYS, {"lines": list(lines)})
        for root, out_no in cursor.fetchall():
            found.setdefault(root, []).append(out_no)
    return found


def _reversal_lines(out_nos: Iterable[str]) -> dict[str, int]:
    """The lines by which payouts that failed or came back are owed again, by entry."""
    names = [reversed_reference(out_no) for out_no in out_nos]
    owed = Entry.objects.filter(reference__in=names, lines__account__kind="household")
    return dict(owed.values_list("reference", "lines"))


def _legs(out_nos: Iterable[str]) -> dict[str, Leg]:
    """Payouts with all that is known of them."""
    wanted = set(out_nos)
    known = Payout.objects.filter(out_no__in=wanted).select_related("account", "household__village", "run")
    files = Prefetch("attempts__batch", Batch.objects.defer("content"))
    payouts = list(known.prefetch_related(files, "attempts__batch__statement_rows", "statement_rows"))
    names = [make(out_no) for out_no in wanted for make in (sent_reference, arrived_reference, reversed_reference)]
    entries = Entry.objects.filter(reference__in=names).values_list("reference", "at", "published__statement__day")
    moments = {reference: Moment(at, day) for reference, at, day in entries}
    ended = StateChange.objects.filter(
        thing="payouts.payout",
        object_id__in=[one.pk for one in payouts],
        to_state__in=[Payout.State.FAILED, Payout.State.RETURNED, Payout.State.CANCELLED],
    )
    reasons = dict(ended.values_list("object_id", "reason"))
    clarified = _clarified(payouts)
    return {
        one.out_no: Leg(
            one,
            moments.get(sent_reference(one.out_no)),
            moments.get(arrived_reference(one.out_no)),
            moments.get(reversed_reference(one.out_no)),
            reasons.get(one.pk, ""),
            clarified.get(one.pk, ()),
        )
        for one in payouts
    }


def _clarified(payouts: Sequence[Payout]) -> dict[int, list[Clarification]]:
    """By payout, what two people have said of it, or of the file in which it arrived, oldest first. A debit stands with
    the payout that follows it up."""
    pks = [one.pk for one in payouts]
    arrived = [one for payout in payouts for one in payout.attempts.all() if one.state == Attempt.State.SUCCEEDED]
    files = {one.batch_id: [same.payout_id for same in arrived if same.batch_id == one.batch_id] for one in arrived}
    agreed = Clarification.objects.filter(state=Clarification.State.AGREED)
    mine = Q(payout__in=pks) | Q(follow_up__in=pks) | Q(batch__in=[pk for pk in files if pk], row__fen__lt=0)
    said = agreed.filter(mine).select_related("row", "batch", "proposed_by", "agreed_by").defer("batch__content")
    found: dict[int, list[Clarification]] = {}
    for one in said.order_by("pk"):
        of_one = one.follow_up_id or one.payout_id
        for pk in [of_one] if of_one else files.get(one.batch_id, []):
            found.setdefault(pk, []).append(one)
    return found
