"""Correcting what is recorded about a tree that is not in the scheme: each correction makes a new revision, and what
stood there before is kept. A device that sends its correction again gets the same answer."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.api import body_hash
from carbonsink.errors import DomainError
from carbonsink.states import move
from trees import flags
from trees.models import Correction, Household, Inspection, Species, Tree
from trees.registration import check_consent, check_measurement, check_position, device_time

# From these a corrected tree goes to the reviewers again; a submitted one is with them already.
SENT_AGAIN = (Tree.State.REJECTED, Tree.State.EXPIRED, Tree.State.WITHDRAWN)
RECORDED = ("dbh_cm", "planted_year", "lon", "lat", "accuracy_m", "measured_on")


def correct_tree(
    tree: Tree,
    *,
    officer: User,
    revision: int,
    species: Species,
    dbh_cm: Decimal | None,
    planted_year: int | None,
    lon: Decimal | None,
    lat: Decimal | None,
    accuracy_m: int | None,
    measured_on: date,
    captured_at: datetime | None = None,
) -> Tree:
    """Records what a tree should read, made from its `revision`, and hands it to the reviewers again if it left them.

    The caller has looked the tree up among those the officer may see; it is brought up to date. Raises DomainError 409
    when somebody else corrected it meanwhile or it is in the scheme, 400 when it is not eligible as corrected.
    """
    lon, lat = check_position(lon, lat)
    sent: dict[str, Any] = {
        "species": species, "dbh_cm": dbh_cm, "planted_year": planted_year, "lon": lon, "lat": lat,
        "accuracy_m": accuracy_m, "measured_on": measured_on,
    }  # fmt: skip
    digest = body_hash({**_readable(sent), "captured_at": str(captured_at)})
    with transaction.atomic():
        # The household's row comes first, as with every decision about its trees.
        household = Household.objects.select_for_update(of=["self"], no_key=True).get(pk=tree.household_id)
        locked = Tree.objects.select_for_update(no_key=True).get(pk=tree.pk)
        if not _is_known(locked, revision, digest, sent):
            _check_correctable(locked, household, measured_on)
            check_measurement(household.programme, dbh_cm, planted_year, lon, lat, measured_on)
            _store(locked, officer, digest, {**sent, "captured_at": device_time(captured_at)})
            flags.look_at_trees([locked.pk], by=officer)
    tree.refresh_from_db()
    return tree


def recorded(tree: Tree) -> dict[str, Any]:
    """What a correction begins with: what is recorded now, and its revision."""
    return {name: getattr(tree, name) for name in ("species", *RECORDED, "revision")}


def _readable(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON keeps them."""
    return {
        key: value if value is None or isinstance(value, int) else getattr(value, "scientific_name", str(value))
        for key, value in values.items()
    }


def _is_known(tree: Tree, revision: int, digest: str, sent: dict[str, Any]) -> bool:
    """Whether this correction has arrived before, or says what the tree says already; 409 when it came too late."""
    if tree.corrections.filter(revision=revision + 1, body_hash=digest).exists():
        return True
    same = tree.species_id == sent["species"].pk and all(getattr(tree, name) == sent[name] for name in RECORDED)
    if revision != tree.revision:
        if same:
            return True
        raise DomainError(
            "changed_meanwhile",
            _("Somebody else has corrected this tree meanwhile. Compare both, and correct it again if need be."),
            status=409,
        )
    return same and tree.state not in SENT_AGAIN


def _check_correctable(tree: Tree, household: Household, measured_on: date) -> None:
    if tree.state not in (Tree.State.DRAFT, Tree.State.SUBMITTED, *SENT_AGAIN):
        raise DomainError(
            "wrong_state",
            _("This tree is “%(state)s”: what is recorded about it stays. Record an inspection instead.")
            % {"state": tree.get_state_display()},
            status=409,
        )
    if tree.inspections.filter(state=Inspection.State.CONFIRMED).exists():
        # Its household may have left before the report was decided, so its state need not say so.
        raise DomainError("wrong_state", _("This tree was found dead or felled: it does not come back."), status=409)
    if tree.state == Tree.State.EXPIRED and measured_on <= tree.measured_on:
        raise DomainError("not_measured_anew", _("The tree's years are over. Measure it anew to register it again."))
    check_consent(household)


def _store(tree: Tree, officer: User, digest: str, now: dict[str, Any]) -> None:
    names = ("species", *RECORDED, "captured_at", "measured_by_id", "state")
    before = _readable({name: getattr(tree, name) for name in names})
    Correction.objects.create(tree=tree, revision=tree.revision + 1, body_hash=digest, before=before, by=officer)
    changes = {**now, "measured_by": officer, "revision": tree.revision + 1}
    if tree.state in SENT_AGAIN:
        move(tree, Tree.State.SUBMITTED, by=officer, reason="corrected", **changes)
    else:
        Tree.objects.filter(pk=tree.pk).update(**changes)
