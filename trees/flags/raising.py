"""Writing flags: each once for what it is about, and no more than once after somebody decided about it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from carbonsink.accounts.models import User
from trees.models import Flag, Household, Tree

NO_LONGER = "no longer so"


def raise_flag(
    kind: str,
    *,
    household: Household,
    tree: Tree | None = None,
    other_tree: Tree | None = None,
    other_household: Household | None = None,
    **evidence: Any,
) -> None:
    """Raises a flag about a tree, or about a household as a whole, unless the same one is open already."""
    flag = Flag(
        kind=kind,
        household=household,
        tree=tree,
        other_tree=other_tree,
        other_household=other_household,
        evidence=evidence,
    )
    Flag.objects.bulk_create([flag], ignore_conflicts=True)


@dataclass(frozen=True)
class Finding:
    """Something suspicious about a tree, as it is now."""

    kind: str
    tree_id: int
    household_id: int
    other_tree_id: int | None = None
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int, int | None]:
        """What it is about; of each there is one open flag."""
        return self.kind, self.tree_id, self.other_tree_id


def renew(tree_ids: Collection[int], kinds: Collection[str], findings: list[Finding], by: User | None) -> list[int]:
    """Brings the trees' open flags of these kinds in line with what was found; returns how many were raised, settled.

    What a review settled since the tree was last corrected is not raised again: a person has seen it. An open flag
    that does not hold any more, or holds with other figures, is settled by `by`, whose correction changed it; without
    `by` it stays.
    """
    if not findings and by is None:
        return [0, 0]
    known = Flag.objects.filter(tree__in=tree_ids, kind__in=kinds)
    now_open: dict[tuple[str, int | None, int | None], Flag] = {}
    decided = set()
    for flag in known.annotate(corrected_at=Max("tree__corrections__at")):
        key = (flag.kind, flag.tree_id, flag.other_tree_id)
        if flag.settled_at is None:
            now_open[key] = flag
        elif flag.review_id and (flag.corrected_at is None or flag.settled_at > flag.corrected_at):
            decided.add(key)
    gone = {flag.pk for flag in now_open.values()} if by else set()
    new = []
    for finding in {finding.key: finding for finding in reversed(findings)}.values():
        same = now_open.get(finding.key)
        if same is None and finding.key in decided:
            continue
        if same is None or (by and same.evidence != finding.evidence):
            new.append(finding)
        else:
            gone.discard(same.pk)
    return _write(new, gone, by)


def _write(new: list[Finding], gone: set[int], by: User | None) -> list[int]:
    if not new and not gone:
        return [0, 0]
    with transaction.atomic():
        settled = Flag.objects.filter(pk__in=gone, settled_at__isnull=True).update(
            settled_by=by, settled_at=timezone.now(), note=NO_LONGER
        )
        flags = [
            Flag(
                kind=finding.kind,
                household_id=finding.household_id,
                tree_id=finding.tree_id,
                other_tree_id=finding.other_tree_id,
                evidence=finding.evidence,
            )
            for finding in new
        ]
        Flag.objects.bulk_create(flags, ignore_conflicts=True, batch_size=2000)
    return [len(new), settled]
