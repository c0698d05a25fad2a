"""Looking at trees: all rules over all of them, in chunks."""

from collections.abc import Iterable
from typing import NamedTuple

from carbonsink.accounts.models import User
from trees.flags.raising import renew
from trees.flags.rules import KINDS, RULES
from trees.models import Flag

# Flat memory, and few enough statements for hundreds of thousands of trees.
CHUNK = 10_000


class Looked(NamedTuple):
    """How many flags were raised, and how many settled because they hold no longer."""

    raised: int
    settled: int


def look_at_trees(tree_ids: Iterable[int], *, by: User | None = None) -> Looked:
    """Raises what is suspicious about these trees: too close to another, far from the village, faster than one walks,
    too thick, too many. Photos are looked at elsewhere.

    The number of statements does not depend on the number of trees, up to 10,000 at a time. After a correction, `by`
    is who corrected: they settle, with the note "no longer so", the flags that do not hold any more, also those by
    which other trees were compared with these.
    """
    ids = sorted(set(tree_ids))
    raised = settled = 0
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        if by is not None:
            compared = Flag.objects.filter(other_tree__in=chunk, kind__in=KINDS, settled_at__isnull=True)
            chunk = sorted({*chunk, *compared.values_list("tree", flat=True)})
        findings = [finding for rule in RULES for finding in rule(chunk)]
        new, gone = renew(chunk, KINDS, findings, by)
        raised, settled = raised + new, settled + gone
    return Looked(raised, settled)
