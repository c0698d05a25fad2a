"""What a row in suspense can be, and what a payout's money may have done without one: each rule with the sentence that
says why it cannot.

Payouts are suggested by amount, and found by their number wherever it stands in a row.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Entry, Line, Settlement
from payouts import sending, statements, whole_files
from payouts.banks import by_file
from payouts.models import BankReport, Clarification, Payout, StatementCursor, StatementRow
from purchases.proceeds import reversed_reference

Kind = Clarification.Kind
State = Clarification.State

# How far a return may lie behind its payout to be suggested, and how many payouts are looked through and suggested.
LOOKED_BACK = timedelta(days=90)
LOOKED_THROUGH = 100
SUGGESTED = 5
# How many payouts that the bank has kept back are looked at.
KEPT_BACK = 40
# Our numbers, wherever they stand in a text.
_NUMBER = re.compile("(?=([0-9a-f]{32}))")
_NOT_SENT = [Payout.State.PREPARED, Payout.State.HELD, Payout.State.APPROVED]


def in_suspense() -> QuerySet[StatementRow]:
    """Rows that nobody has explained, oldest first."""
    reference = Concat(Value("explained:"), OuterRef("bank"), Value(":"), OuterRef("serial"))
    explained = Entry.objects.filter(reference=reference)
    rows = StatementRow.objects.filter(~Exists(explained), kind=StatementRow.Kind.SUSPENSE)
    return rows.order_by("booked_at", "pk")


def overdue() -> QuerySet[Payout]:
    """Payouts that arrived by the bank's word, while its statement has been read since and has no debit of them."""
    late = statements.without_debit().filter(
        state=Payout.State.SUCCEEDED, completed_at__lt=timezone.now() - statements.DEBIT_COMES_WITHIN
    )
    return late.select_related("household__village").order_by("completed_at", "pk")


def kept_back() -> list[Payout]:
    """Payouts that failed by the bank's word in files which it debited as a whole, and has not given back."""
    return [
        one
        for code in by_file()
        for one in whole_files.kept_back(code).select_related("household__village")[:KEPT_BACK]
        if not _why_it_did_not_arrive(one)
    ]


@dataclass(frozen=True)
class Suggestion:
    """A payout that a row may belong to. `named`: the row has its number, or its holder's name."""

    payout: Payout
    named: bool


def suggestions(row: StatementRow) -> list[Suggestion]:
    """Payouts whose debit or return a row may be: of its bank and amount, named ones first, then the newest."""
    fits = Payout.objects.filter(bank=row.bank, fen=abs(row.fen)).select_related("account", "household__village")
    # Looked up by its number: a night may have thousands of payouts of one amount.
    mine = list(numbered(row, fits))
    near = fits.filter(
        created_at__gte=row.booked_at - LOOKED_BACK, created_at__lte=row.booked_at + statements.DEBIT_COMES_WITHIN
    )
    newest = near.filter(_can_be(row)).exclude(pk__in=[one.pk for one in mine]).order_by("-created_at", "-pk")
    text = f"{row.remittance} {row.counterparty}"
    others = [Suggestion(one, one.account.holder in text) for one in newest[:LOOKED_THROUGH]]
    found = [Suggestion(one, True) for one in mine] + sorted(others, key=lambda one: not one.named)
    return list(islice((one for one in found if not why_not(kind_of(row, one.payout), one.payout, row)), SUGGESTED))


def numbered(row: StatementRow, payouts: QuerySet[Payout]) -> QuerySet[Payout]:
    """Those of the payouts whose number a row has; of one that counts as paid by a follow-up, that one too."""
    numbers = _NUMBER.findall(f"{row.named} {row.remittance} {row.counterparty}".lower())
    # In two queries, each by an index.
    said = Clarification.objects.filter(payout__out_no__in=numbers, follow_up__isnull=False)
    follow_ups = list(said.values_list("follow_up", flat=True))
    return payouts.filter(Q(out_no__in=numbers) | Q(pk__in=follow_ups)).order_by("-pk")


def _can_be(row: StatementRow) -> Q:
    """What a payout must be for a row to be its debit or return, as far as a query can say it."""
    if row.fen > 0:
        on_its_way = sending.OPEN if row.bank in by_file() else []
        failed = Q(whole_files.to_give_back(), state=Payout.State.FAILED)
        return Q(state__in=[Payout.State.SUCCEEDED, *on_its_way]) | failed
    states = [*sending.OPEN, Payout.State.SUCCEEDED, Payout.State.FAILED, Payout.State.RETURNED]
    debits = StatementRow.objects.filter(kind=StatementRow.Kind.PAYOUT, payout=OuterRef("pk"))
    return Q(~Exists(debits), state__in=states)


def kind_of(row: StatementRow | None, payout: Payout) -> Clarification.Kind:
    """What a row can be of a payout: money that left is a debit, money that came a return, or of a file. Without a row,
    money that the bank says arrived never left; other money had arrived with its whole file."""
    if row is None:
        is_back = payout.state in (Payout.State.FAILED, Payout.State.RETURNED)
        return Kind.ARRIVED if is_back and whole_files.is_debited(payout) else Kind.NEVER_LEFT
    if row.fen > 0 and payout.state == Payout.State.FAILED:
        return Kind.FILE
    return Kind.DEBIT if row.fen < 0 else Kind.RETURN


def why_not_the_sponsor_s(row: StatementRow, payout: Payout) -> str:
    """Why nobody may book a row as the sponsor's that names this payout, in a sentence; empty when one may."""
    kind = kind_of(row, payout)
    trouble = why_not(kind, payout, row)
    if not trouble:
        text = _("This row names payout %(number)s, whose it can be. Say that it belongs to it.")
        return text % {"number": payout.out_no}
    if not is_owed_again(payout):
        return ""
    if kind == Kind.DEBIT:
        # Its money would be paid once more as soon as the one that waits is approved.
        _line, taken_by = owed_again(payout)
        return trouble if Payout.objects.filter(out_no=taken_by, state__in=_NOT_SENT).exists() else ""
    # Debited and given back: were this the sponsor's, the debit alone would count as the household's money.
    waiting = in_suspense().filter(bank=row.bank, fen=-row.fen)
    if any(numbered(one, Payout.objects.filter(pk=payout.pk)).exists() for one in waiting):
        text = _("This row names payout %(number)s, whose debit is to be explained too. Say first what that is.")
        return text % {"number": payout.out_no}
    return ""


def why_no_row(row: StatementRow) -> str:
    """Why a row is nothing to be explained, in a sentence; empty when it is."""
    known = row.kind != StatementRow.Kind.SUSPENSE or ledger.known_references([statements.explained_reference(row)])
    return _("This row is explained already.") if known else ""


def why_not(kind: Clarification.Kind, payout: Payout, row: StatementRow | None) -> str:
    """Why a row cannot be this of a payout, in a sentence; empty when it can."""
    if row is not None and (row.bank, abs(row.fen)) != (payout.bank, payout.fen):
        return _("The payout is of another amount, or at another bank.")
    if kind == Kind.NEVER_LEFT:
        return _why_it_may_have_left(payout)
    if kind == Kind.ARRIVED:
        return _why_it_did_not_arrive(payout)
    if kind == Kind.FILE:
        batch = whole_files.file_of_failed(payout)
        text = _("Only a payout that arrived can come back, or one that failed in a file which was debited as a whole.")
        return whole_files.why_not(batch, payout.fen, payout) if batch and whole_files.is_debited(payout) else text
    if kind == Kind.RETURN:
        return "" if statements.could_come_back(payout) else _("Only a payout that arrived can come back.")
    if is_owed_again(payout):
        return why_no_follow_up(payout)
    due = statements.is_debit_due(payout)
    return "" if due else _("The statement has this payout's debit already, or it was never sent.")


def _why_it_may_have_left(payout: Payout) -> str:
    """Why nobody can say yet that a payout's money never left."""
    if payout.state != Payout.State.SUCCEEDED or not statements.without_debit().filter(pk=payout.pk).exists():
        return _("Only of a payout that arrived by the bank's word, and that its statement does not have.")
    read_at = _read_at(payout.bank)
    due = (payout.completed_at or timezone.now()) + statements.DEBIT_COMES_WITHIN
    if read_at is None or read_at < due:
        return _("Its debit may still come: wait until the statement has been read a day after the payout.")
    # Of one that went in a file, any debit may be that of the whole file.
    larger = Q(fen__lte=-payout.fen) if payout.attempts.filter(batch__isnull=False).exists() else Q(fen=-payout.fen)
    if in_suspense().filter(larger, bank=payout.bank).exists():
        return _(
            "The statement has a row that may be this payout's debit, and nobody has explained it. Say first what"
            " that is."
        )
    return ""


def _why_it_did_not_arrive(payout: Payout) -> str:
    """Why money that failed cannot have arrived with its file."""
    if not (is_owed_again(payout) and whole_files.is_debited(payout)):
        return _("Only of a payout that did not arrive, while its file was debited as a whole.")
    stands = whole_files.standing(whole_files.file_of(payout))
    if whole_files.is_given_back(payout) or stands.owed_back_fen < payout.fen:
        return _("The bank has given this payout's money back.")
    if stands.since is None or stands.since > timezone.now() - whole_files.ASKED_AFTER:
        return _("The bank may still give it back: wait until a day after it said that it failed.")
    return why_no_follow_up(payout)


def _read_at(bank: str) -> datetime | None:
    """When a bank's statement was last read. An empty folder of files is none: its day may still have to be fetched."""
    if bank in by_file():
        told = BankReport.objects.filter(bank=bank, kind__startswith="camt.")
        return told.aggregate(last=Max("read_at"))["last"]
    return StatementCursor.objects.filter(bank=bank).values_list("read_at", flat=True).first()


def is_owed_again(payout: Payout) -> bool:
    """Whether a payout's money was owed again without that a row of the statement gave it back, and nobody has said yet
    that it had gone all the same."""
    agreed = set(payout.clarifications.filter(state=State.AGREED).values_list("kind", flat=True))
    if payout.state == Payout.State.RETURNED and Kind.NEVER_LEFT not in agreed:
        return False
    return payout.state in (Payout.State.FAILED, Payout.State.RETURNED) and not agreed & {Kind.DEBIT, Kind.ARRIVED}


def why_no_follow_up(payout: Payout) -> str:
    """Why the money that is owed again cannot count as paid."""
    line, taken_by = owed_again(payout)
    if line is None:
        return _(
            "Its money was paid again by %(number)s. If that one was not sent, release it first. If it was, the"
            " household has it twice: book the row as the sponsor's, and ask the bank."
        ) % {"number": taken_by}
    if line.fen != -payout.fen:
        return _("Its money is owed together with other money by now. Book the row as the sponsor's, and ask the bank.")
    return ""


def owed_again(payout: Payout) -> tuple[Line | None, str]:
    """The line by which a payout's money is owed now, through payouts that took it and were reversed; or None and the
    number of the payout that has it."""
    number = payout.out_no
    while True:
        lines = Line.objects.filter(account__owner=payout.household_id)
        line = lines.filter(entry__reference=reversed_reference(number)).select_related("account").first()
        if line is None:
            return None, number
        taken = Settlement.objects.filter(line=line).values_list("payout_reference", flat=True).first()
        if taken is None:
            return line, ""
        number = taken
