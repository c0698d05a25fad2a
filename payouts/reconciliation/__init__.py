"""Reconciliation, three ways every day: ledger, gateways' bills, bank's statement.

What agrees is matched; what differs is of a known kind with its age, or unexplained: then an alert stops the runs until
a person has answered. A day may be compared as often as one likes; what is well again closes by itself.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Min, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.locks import only_one
from carbonsink.states import move, move_many
from payouts import alerts, clarifications, statements, whole_files
from payouts.banks.base import BankError
from payouts.models import Clarification, Discrepancy, Payout, Reconciliation, StatementRow
from payouts.reconciliation import gateways, settlements, statement
from payouts.reconciliation.found import Found, Look
from payouts.reconciliation.statement import Told
from purchases.gateways.base import Funds
from purchases.models import Difference, Payment

Kind, State = Discrepancy.Kind, Discrepancy.State

# So many days back what differs is looked at again, and missed days are made up for.
LOOKS_BACK_DAYS = 31
# The last ones anyway: bills and statements come late.
ALWAYS_AGAIN_DAYS = 3
# What is true of the newest day alone, and told anew with the next one.
STANDING = [
    Kind.SETTLEMENT,
    Kind.SETTLEMENT_OVERDUE,
    Kind.SWEPT_EARLY,
    Kind.SETTLED_TOO_MUCH,
    Kind.HELD,
    Kind.FILE_OWED,
]


class Heard(NamedTuple):
    """What the outside says of a day."""

    banks: list[Told]
    funds: dict[str, Funds | None]
    # Of the days before, where they are asked for: see `settlements`.
    before: dict[str, list[Funds]]


def reconcile(day: date) -> Reconciliation | None:
    """Compares a day that is over, and keeps what differs; None when somebody else is at it.

    Rows that the bank has put in afterwards are booked. Of a bank that does not answer that much is kept, and what it
    had told before. Raises DomainError("not_over") for today and later.
    """
    _check_over(day)
    with only_one("payouts.reconcile") as mine:
        if not mine:
            return None
        late: list[Found] = []
        banks = []
        for code in statement.codes(day):
            told = _hear(code, day)
            late += statement.book_late(told)
            banks.append(told)
        heard = Heard(banks, gateways.book_missed_fees(day), _read_before(day))
        with transaction.atomic():
            return _keep(day, _look(day, heard), late)


def _hear(code: str, day: date) -> Told:
    """What a bank says of a day, once what is new on its statement is booked."""
    try:
        statements.import_statement(code)
    except BankError as error:
        return statement.silent(code, day, error)
    return statement.ask(code, day)


def look_at(day: date) -> Look:
    """Compares a day and writes nothing. Raises what `reconcile` raises."""
    _check_over(day)
    banks = [statement.ask(code, day) for code in statement.codes(day)]
    return _look(day, Heard(banks, gateways.read_funds(day), _read_before(day)), unbooked=True)


def _check_over(day: date) -> None:
    if day >= timezone.localdate():
        raise DomainError("not_over", _("This day is not over yet. Reconcile it tomorrow."))


def _look(day: date, heard: Heard, *, unbooked: bool = False) -> Look:
    look = Look()
    gateways.compare(look, day)
    gateways.compare_fees(look, day, heard.funds)
    # What a gateway holds is asked about on the newest day, and is told until it has answered.
    look.untold |= {(Kind.HELD, settlements.code_of(account)) for account in settlements.accounts()}
    if _is_newest(day):
        settlements.compare(look, day, heard.funds, heard.before)
        look.found += statement.owed_back()
    for told in heard.banks:
        if told.is_silent:
            look.untold |= {(kind, told.code) for kind in statement.ONLY_THE_BANK}
        late = statement.found_late(told.code, statement.late(told)) if unbooked else []
        look.found += late
        statement.compare(look, told, day, unbooked_fen=sum(one.delta_fen for one in late))
    return look


def _read_before(day: date) -> dict[str, list[Funds]]:
    """What gateways say of the days before; nothing for a day of which nothing stands any more."""
    return gateways.read_before(day) if _is_newest(day) else {}


def _is_newest(day: date) -> bool:
    return not Reconciliation.objects.filter(day__gt=day).exists()


def _keep(day: date, look: Look, late: Iterable[Found]) -> Reconciliation:
    """Opens what is new, changes what has changed, and ends what agrees by now. What was explained stays so; and what
    only a bank or a gateway can tell to be well stays open while it says nothing."""
    made = Reconciliation.objects.get_or_create(day=day)[0]
    made = Reconciliation.objects.select_for_update().get(pk=made.pk)
    was_open = {(one.kind, one.reference): one for one in made.discrepancies.filter(state=State.OPEN)}
    for one in look.found:
        former = was_open.pop((one.kind, one.reference), None)
        if former is not None:
            _change(former, one)
        elif not _was_explained(made, one):
            _open(made, one)
    gone = [one.pk for one in was_open.values() if look.may_end(one)]
    move_many(Discrepancy.objects.filter(pk__in=gone), State.RESOLVED, reason="agrees meanwhile")
    for one in late:
        move(_open(made, one), State.RESOLVED, reason="booked when it was found")
    made.sums, made.rows, made.compared_at = look.sums, look.rows, timezone.now()
    made.save(update_fields=["sums", "rows", "compared_at"])
    if _is_newest(day):
        _carry_on(made, look)
    conclude(made)
    return made


def _open(made: Reconciliation, one: Found) -> Discrepancy:
    return made.discrepancies.create(
        kind=one.kind,
        reference=one.reference,
        ours_fen=one.ours_fen,
        theirs_fen=one.theirs_fen,
        unexplained=one.unexplained,
        since=one.since,
    )


def _change(former: Discrepancy, one: Found) -> None:
    now = (one.ours_fen, one.theirs_fen, one.unexplained, one.since)
    if (former.ours_fen, former.theirs_fen, former.unexplained, former.since) != now:
        former.ours_fen, former.theirs_fen, former.unexplained, former.since = now
        former.save(update_fields=["ours_fen", "theirs_fen", "unexplained", "since"])


def _was_explained(made: Reconciliation, one: Found) -> bool:
    same = {"kind": one.kind, "reference": one.reference, "ours_fen": one.ours_fen, "theirs_fen": one.theirs_fen}
    return made.discrepancies.filter(state=State.EXPLAINED, **same).exists()


def _carry_on(made: Reconciliation, look: Look) -> None:
    """What is not settled yet is told with the newest day, and no more with the days before."""
    open_ones = Discrepancy.objects.filter(state=State.OPEN, kind__in=STANDING, reconciliation__day__lt=made.day)
    former = [one for one in open_ones if look.may_end(one)]
    gone = Discrepancy.objects.filter(pk__in=[one.pk for one in former])
    move_many(gone, State.RESOLVED, reason=f"carried on to {made.day}")
    for earlier in Reconciliation.objects.filter(pk__in={one.reconciliation_id for one in former}):
        conclude(earlier)
    overdue = {one.reference.partition(":")[0]: one for one in look.found if one.kind == Kind.SETTLEMENT_OVERDUE}
    for alert in alerts.open_alerts().filter(kind="settlement_overdue"):
        if alert.about not in overdue:
            alerts.close_alerts("settlement_overdue", alert.about, reason="settled meanwhile")
    for code, one in overdue.items():
        text = _("%(gateway)s has not settled since %(day)s.") % {"gateway": code, "day": timezone.localdate(one.since)}
        alerts.raise_alert("settlement_overdue", code, text)


def open_differences(day: date) -> QuerySet[Difference]:
    """Lines of the day's bills that differ and that nobody has answered."""
    return Difference.objects.filter(bill__day=day, state=Difference.State.OPEN).select_related("bill")


@transaction.atomic
def conclude(made: Reconciliation) -> None:
    """Says how a day stands. While something is unexplained an alert stops the runs."""
    # Two who answer at once would each find the other's difference open, and leave the alert.
    made.refresh_from_db(fields=["state"], from_queryset=_locked())
    left = made.discrepancies.filter(state=State.OPEN)
    unexplained = left.filter(unexplained=True).count() + open_differences(made.day).count()
    state = Reconciliation.State.DIFFERS if left.exists() else Reconciliation.State.MATCHED
    if unexplained:
        state = Reconciliation.State.UNEXPLAINED
        text = ngettext("%(count)s thing is unexplained.", "%(count)s things are unexplained.", unexplained)
        alerts.raise_alert("reconciliation", str(made.day), text % {"count": unexplained}, stops=True)
    else:
        alerts.close_alerts("reconciliation", str(made.day), reason="nothing is unexplained any more")
    if made.state != state:
        move(made, state)


def _locked() -> QuerySet[Reconciliation]:
    """Days, locked before their differences: as a comparison does, so that neither waits for the other for ever."""
    return Reconciliation.objects.select_for_update().order_by("-day")


def conclude_days_of(difference_ids: list[int], _to: str = "") -> None:
    """Says anew how the days stand whose bills' differences have ended."""
    days = Difference.objects.filter(pk__in=difference_ids).values("bill__day")
    for made in _locked().filter(day__in=days):
        conclude(made)


@transaction.atomic
def answer(discrepancy: Discrepancy, *, text: str, by: User) -> bool:
    """Ends an unexplained difference with what a person found out; a row in suspense is booked as explained too. False
    when somebody else must agree first, as with a row that a payout fits.

    Raises DomainError: "no_answer" without a text, "closes_by_itself" for one of a known kind.
    """
    text = text.replace("\0", "").strip()[:200]
    if not text:
        raise DomainError("no_answer", _("Write what you found out."))
    if not discrepancy.unexplained:
        raise DomainError("closes_by_itself", _("This closes by itself once its cause is gone."), status=409)
    if discrepancy.kind == Kind.ROW_UNEXPLAINED and discrepancy.state == State.OPEN:
        code, _colon, serial = discrepancy.reference.partition(":")
        row = StatementRow.objects.get(bank=code, serial=serial)
        if clarifications.explain(row, by=by, reason=text) is not None:
            return False
    _end(discrepancy, text, by)
    return True


def _end(discrepancy: Discrepancy, text: str, by: User | None) -> None:
    made = _locked().get(pk=discrepancy.reconciliation_id)
    move(discrepancy, State.EXPLAINED, by=by, reason=text, answer=text, explained_by=by)
    conclude(made)


def end_clarified(ids: list[int], _to: str = "") -> None:
    """Ends what was unexplained about rows and payouts, since two people have booked what it was."""
    for said in Clarification.objects.select_related("row", "payout", "agreed_by").filter(pk__in=ids):
        about = Q()
        if said.batch_id is not None:
            _end_debits_of(said.batch_id)
        elif said.payout is not None and said.kind != said.Kind.RETURN:
            # A return says nothing of the debit, which may be missing still.
            about = Q(kind=Kind.DEBIT_MISSING, reference=said.payout.out_no)
        if said.row is not None:
            about |= Q(kind=Kind.ROW_UNEXPLAINED, reference=f"{said.row.bank}:{said.row.serial}")
        ended = Discrepancy.objects.filter(about, state=State.OPEN)
        list(_locked().filter(pk__in=ended.values("reconciliation")))
        for one in ended.order_by("-reconciliation__day", "pk"):
            _end(one, said.why, said.agreed_by)


def _end_debits_of(batch_id: int) -> None:
    """Ends that payouts are not on the statement, since their file is; all at once, they may be thousands."""
    if not whole_files.rows().filter(fen__lt=0, clarifications__batch=batch_id).exists():
        return
    numbers = Payout.objects.filter(attempts__batch=batch_id).values("out_no")
    gone = Discrepancy.objects.filter(kind=Kind.DEBIT_MISSING, reference__in=numbers, state=State.OPEN)
    days = list(_locked().filter(pk__in=gone.values("reconciliation")))
    move_many(gone, State.RESOLVED, reason="debited with its file")
    for made in days:
        conclude(made)


def due_days() -> list[date]:
    """The days to be compared now, oldest first: those that were missed, those that differ, and the last ones."""
    yesterday = timezone.localdate() - timedelta(days=1)
    oldest = yesterday - timedelta(days=LOOKS_BACK_DAYS)
    known = Reconciliation.objects.filter(day__gte=oldest, day__lte=yesterday)
    matched = set(known.filter(state=Reconciliation.State.MATCHED).values_list("day", flat=True))
    matched -= {yesterday - timedelta(days=back) for back in range(ALWAYS_AGAIN_DAYS)}
    begun = _first_day()
    if begun is None:
        return []
    first = max(oldest, begun)
    return [
        day for back in range((yesterday - first).days, -1, -1) if (day := yesterday - timedelta(back)) not in matched
    ]


def missed_days() -> list[date]:
    """Days that have been over for a day, and were never compared."""
    latest = timezone.localdate(timezone.now() - timedelta(days=1)) - timedelta(days=1)
    first = Reconciliation.objects.aggregate(day=Min("day"))["day"] or _first_day()
    if first is None or first > latest:
        return []
    known = set(Reconciliation.objects.values_list("day", flat=True))
    days = [first + timedelta(days=ahead) for ahead in range((latest - first).days + 1)]
    return [day for day in days if day not in known]


def _first_day() -> date | None:
    """The day of the first money, or of the first comparison."""
    first = Reconciliation.objects.aggregate(day=Min("day"))["day"]
    moments = [
        StatementRow.objects.aggregate(at=Min("booked_at"))["at"],
        Payment.objects.aggregate(at=Min("captured_at"))["at"],
    ]
    days = [timezone.localdate(at) for at in moments if at is not None] + ([first] if first else [])
    return min(days, default=None)
