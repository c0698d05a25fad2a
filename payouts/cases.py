"""What households say with one tap, and what people answer.

"It arrived" is kept as it is. "It did not arrive" is a task of finance and raises an alert. "That is not my tree" is a
flag on the tree and a task of the county's reviewers: the tree stays on sale until one of them has looked, since
whoever holds the PIN for a moment must not be able to take a household's income with a tap.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import FINANCE, OFFICER, REVIEWER
from carbonsink.errors import DomainError
from carbonsink.locks import one_after_another
from carbonsink.states import move, move_many
from payouts import alerts, messages_to_households
from payouts.models import Case, Payout
from trees import flags
from trees.models import Flag, Household, Tree

ALERT = "case"
# Who answers what; everybody else who may see a case only reads it.
ANSWERS = {Case.Kind.NOT_ARRIVED: FINANCE, Case.Kind.NOT_MINE: REVIEWER}

# Sent, as far as anybody knows.
SENT = {Payout.State.ACCEPTED, Payout.State.SUCCEEDED, Payout.State.UNKNOWN, Payout.State.SENDING}


@transaction.atomic
def open_case(
    household: Household, kind: str, *, payout: Payout | None = None, tree: Tree | None = None, said: str = ""
) -> Case:
    """Keeps what a household says about one of its payouts or trees. Said twice, it is the same case; an answered one
    is open again.

    Raises DomainError when there is nothing to say about it yet: a payout that has not been sent, for example.
    """
    _check(household, kind, payout, tree)
    one_after_another(f"payouts.cases.{household.pk}")
    case, is_new = _find_or_make(household, kind, payout, tree, said)
    if is_new:
        _follow_up(case)
    return case


def _check(household: Household, kind: str, payout: Payout | None, tree: Tree | None) -> None:
    thing = tree if kind == Case.Kind.NOT_MINE else payout
    if kind not in Case.Kind.values or thing is None or thing.household_id != household.pk:
        raise DomainError("unknown_case", _("This is not known here. Reload the page and tap again."), status=404)
    said_of = {Case.Kind.ARRIVED: {Payout.State.SUCCEEDED}, Case.Kind.NOT_ARRIVED: SENT}.get(Case.Kind(kind))
    if said_of is not None and thing.state not in said_of:
        raise DomainError("not_sent", _("This payment has not gone out yet. It is paid as soon as it can be."), 409)


def _find_or_make(
    household: Household, kind: str, payout: Payout | None, tree: Tree | None, said: str
) -> tuple[Case, bool]:
    """The case, and whether somebody must look at it now."""
    known = Case.objects.filter(kind=kind, payout=payout, tree=tree)
    case = known.exclude(state=Case.State.CLOSED).first() or known.filter(kind=Case.Kind.ARRIVED).first()
    if case is None:
        made = Case.objects.create(household=household, kind=kind, payout=payout, tree=tree, said=said[:200])
        if kind == Case.Kind.ARRIVED:
            move(made, Case.State.CLOSED, reason="asks for nothing")
        return made, True
    if case.state == Case.State.ANSWERED:
        move(case, Case.State.OPEN, reason="said again")
        return case, True
    return case, False


def _follow_up(case: Case) -> None:
    if case.kind == Case.Kind.NOT_MINE:
        flags.raise_flag(Flag.Kind.NOT_MINE, household=case.household, tree=case.tree, case=case.pk)
    elif case.kind == Case.Kind.NOT_ARRIVED:
        text = _("The household %(household)s says that payout %(payout)s did not arrive.")
        alerts.raise_alert(ALERT, str(case.payout), text % {"household": case.household, "payout": case.payout})
    else:
        doubts = Case.objects.filter(payout=case.payout, kind=Case.Kind.NOT_ARRIVED)
        if move_many(doubts, Case.State.CLOSED, reason="the household says that it arrived"):
            alerts.close_alerts(ALERT, str(case.payout), reason="the household says that it arrived")


def cases_for(user: User) -> QuerySet[Case]:
    """The cases that somebody may see: finance all of money, officers and reviewers those of their area."""
    tasks = Case.objects.exclude(kind=Case.Kind.ARRIVED).filter(household__in=Household.objects.visible_to(user))
    if user.has_role(OFFICER, REVIEWER):
        return tasks
    return tasks.filter(kind=Case.Kind.NOT_ARRIVED)


def may_answer(case: Case, user: User) -> bool:
    """Whether it is this person's to answer: finance's for money, for a tree a reviewer's who did not register it."""
    if not user.has_role(ANSWERS[Case.Kind(case.kind)]):
        return False
    return case.tree is None or case.tree.registered_by_id != user.pk


@transaction.atomic
def answer_case(case: Case, *, by: User, answer: str) -> None:
    """Answers an open case; the household is told that there is an answer, and reads it on its page.

    Raises DomainError for who may not answer it, without words, and when it is not open any more.
    """
    if not may_answer(case, by):
        raise DomainError("not_yours", _("Somebody else answers this case."), status=403)
    if not answer.strip():
        raise DomainError("no_answer", _("Write what you found out. The household reads it."))
    said = {"answer": answer.strip()[:200], "answered_by": by, "answered_at": timezone.now()}
    move(case, Case.State.ANSWERED, by=by, reason=answer.strip(), **said)
    if case.payout:
        alerts.close_alerts(ALERT, str(case.payout), by=by, reason=answer.strip())
    elif case.tree:
        flags.settle_claim(case.tree, by=by, note=answer.strip())
    messages_to_households.tell_answer(case)
