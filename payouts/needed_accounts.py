"""Households to whom nothing can be paid because they have no account in force, and accounts that wait for somebody."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from payouts.models import BankAccount
from trees.models import Household


def needing_account(households: QuerySet[Household]) -> QuerySet[Any]:
    """Those of the households that have no account in force and none that waits for approval. `bounced` says that the
    bank could not pay into the last one; these come first."""
    theirs = BankAccount.objects.filter(household=OuterRef("pk"))
    waiting = [BankAccount.State.APPROVED, BankAccount.State.ENTERED]
    without = households.exclude(Exists(theirs.filter(state__in=waiting)))
    bounced = Exists(theirs.filter(state=BankAccount.State.BOUNCED))
    return without.annotate(bounced=bounced).order_by("-bounced", "village", "ordinal")


def bounced() -> QuerySet[BankAccount]:
    """Accounts into which the bank could not pay, the newest first."""
    return _listed().filter(state=BankAccount.State.BOUNCED).order_by("-pk")


def to_approve() -> QuerySet[Any]:
    """Accounts that wait for approval, the oldest first. `shared` says that another household has the same one."""
    same = BankAccount.objects.filter(number_digest=OuterRef("number_digest"))
    others = same.exclude(household=OuterRef("household")).exclude(state=BankAccount.State.REJECTED)
    return _listed().filter(state=BankAccount.State.ENTERED).annotate(shared=Exists(others)).order_by("pk")


def cooling() -> QuerySet[BankAccount]:
    """Changes that are approved and not in use yet, the next one first."""
    approved = _listed().filter(state=BankAccount.State.APPROVED, usable_from__gt=timezone.now())
    return approved.order_by("usable_from")


def to_put_back() -> QuerySet[BankAccount]:
    """Accounts that a change superseded which was then stopped: nothing else is in force."""
    theirs = BankAccount.objects.filter(household=OuterRef("household"))
    later = theirs.filter(version__gt=OuterRef("version"))
    stopped = later.filter(state=BankAccount.State.REJECTED, approved_by__isnull=False)
    in_force = later.exclude(state__in=[BankAccount.State.ENTERED, BankAccount.State.REJECTED])
    return _listed().filter(Exists(stopped), ~Exists(in_force), state=BankAccount.State.SUPERSEDED).order_by("-pk")


def _listed() -> QuerySet[BankAccount]:
    return BankAccount.objects.select_related("household__village", "entered_by")
