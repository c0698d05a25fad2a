"""Flags: what makes a tree or a household worth a second glance, raised with the evidence. A flag blocks nothing."""

from typing import Any

from trees.models import Flag, Household, Tree


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
