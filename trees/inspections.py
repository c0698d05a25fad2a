"""Inspections of approved trees: measured again, damaged, or reported as dead or felled.

An inspection never changes what the tree was enrolled with: that stays what the scheme promised. The newest DBH of the
inspections is what the tree's history shows.
"""

import uuid
from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.idempotency import once
from carbonsink.states import move
from trees.eligibility import check_dbh
from trees.models import Inspection, Tree
from trees.registration import check_position

ENDS = (Inspection.Condition.DEAD, Inspection.Condition.FELLED)
# A phone may be without reception for so long; a tree's end must not be dated back over years that were sold since.
OLDEST = timedelta(days=60)


def record_inspection(
    tree: Tree,
    *,
    officer: User,
    client_uuid: uuid.UUID,
    condition: str,
    cause: str = "",
    dbh_cm: Decimal | None = None,
    lon: Decimal | None = None,
    lat: Decimal | None = None,
    accuracy_m: int | None = None,
    inspected_on: date,
    note: str = "",
) -> Inspection:
    """Stores how an approved or suspended tree does. Dead or felled is a report: the tree is suspended until somebody
    else confirms or refutes it.

    The caller has looked the tree up among those the officer may see. Raises DomainError 409 when the tree is not in
    the scheme or has an open report, 400 when the cause or the measurement makes no sense.
    """
    content = {key: str(value) for key, value in locals().items() if key not in ("officer", "client_uuid")}
    digest = body_hash({**content, "tree": tree.number})
    lon, lat = check_position(lon, lat)
    check_dbh(dbh_cm)
    _check_words(condition, cause)
    today = timezone.localdate()
    if not max(tree.measured_on, today - OLDEST) <= inspected_on <= today:
        raise DomainError(
            "invalid",
            _("The day must not be in the future, before the tree was measured, or more than 60 days ago. Correct it."),
        )
    ends = condition in ENDS

    def store() -> Inspection:
        # One report at a time: whoever comes second waits here, and finds the first one's.
        locked = Tree.objects.select_for_update(no_key=True).get(pk=tree.pk)
        _check_inspectable(locked, ends)
        made = Inspection.objects.create(
            client_uuid=client_uuid,
            body_hash=digest,
            tree=locked,
            state=Inspection.State.REPORTED if ends else Inspection.State.RECORDED,
            condition=condition,
            cause=cause,
            dbh_cm=dbh_cm,
            lon=lon,
            lat=lat,
            accuracy_m=accuracy_m,
            inspected_on=inspected_on,
            note=note.strip(),
            inspected_by=officer,
        )
        if ends and locked.state == Tree.State.APPROVED:
            move(locked, Tree.State.SUSPENDED, by=officer, reason=f"reported {condition}")
        return made

    return once(Inspection, client_uuid, digest, store)


def _check_words(condition: str, cause: str) -> None:
    if condition == Inspection.Condition.ALIVE and cause:
        raise DomainError("invalid", _("A tree that is alive and well has no cause of damage. Leave it out."))
    if condition != Inspection.Condition.ALIVE and not cause:
        raise DomainError("no_cause", _("Say what happened to the tree: choose a cause."))


def _check_inspectable(tree: Tree, ends: bool) -> None:
    if tree.state not in (Tree.State.APPROVED, Tree.State.SUSPENDED):
        raise DomainError(
            "wrong_state",
            _("Only trees in the scheme are inspected; this one is “%(state)s”.") % {"state": tree.get_state_display()},
            status=409,
        )
    if ends and tree.inspections.filter(state=Inspection.State.REPORTED).exists():
        raise DomainError(
            "reported_already",
            _("This tree is reported as dead or felled already. Somebody else at the county decides about it."),
            status=409,
        )
