"""The reviewer's queue: which trees wait, where, with which flags, and which one comes next.

Trees that wait are found household by household through the partial index `trees_tree_queue`: what a page costs
depends on what it shows, never on how many trees there are.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet

from carbonsink.accounts.models import User
from trees.models import Division, Flag, Household, Tree
from trees.review import with_sight
from trees.second_looks import due

COUNTED_TO = 1000
VILLAGES_A_PAGE = 60
WAITING = "state = 'submitted' AND picture_id IS NOT NULL"
FLAGGED, CLEAN = "flagged", "clean"
KINDS = {FLAGGED, CLEAN, *Flag.Kind.values}

# The next trees in the order of the queue: household by household, oldest first. Of the household we stand in, only
# what comes after the tree we stand at.
_NEXT = """
    SELECT t.id FROM (SELECT id FROM trees_household WHERE id IN ({households}) AND id {past} %s ORDER BY id {way}) h
     CROSS JOIN LATERAL (
        SELECT q.id, q.registered_at FROM trees_tree q
         WHERE q.household_id = h.id AND q.state = 'submitted' AND q.picture_id IS NOT NULL
           AND (h.id <> %s OR (q.registered_at, q.id) {after} (%s, %s)) {flags}
         ORDER BY q.registered_at {way}, q.id {way} LIMIT %s) t
     ORDER BY h.id {way}, t.registered_at {way}, t.id {way} LIMIT %s"""
_OPEN = "EXISTS (SELECT FROM trees_flag f WHERE f.{about} AND f.settled_at IS NULL AND f.kind = ANY(%s))"
_ABOUT_TREE, _ABOUT_HOUSEHOLD = "tree_id = q.id", "household_id = h.id AND f.tree_id IS NULL"
_FLAGGED = f"({_OPEN.format(about=_ABOUT_TREE)} OR {_OPEN.format(about=_ABOUT_HOUSEHOLD)})"

# For each village: how many wait (counted up to a limit), since when, and how many wait for a photo.
_VILLAGES = """
    SELECT v.code,
           (SELECT count(*) FROM (SELECT FROM trees_household h JOIN trees_tree t ON t.household_id = h.id
             WHERE h.village_id = v.code AND t.state = 'submitted' AND t.picture_id IS NOT NULL LIMIT %s) w),
           (SELECT min(f.registered_at) FROM trees_household h CROSS JOIN LATERAL (
                SELECT t.registered_at FROM trees_tree t WHERE t.household_id = h.id AND t.state = 'submitted'
                   AND t.picture_id IS NOT NULL ORDER BY t.registered_at LIMIT 1) f WHERE h.village_id = v.code),
           (SELECT count(*) FROM (SELECT FROM trees_household h JOIN trees_tree t ON t.household_id = h.id
             WHERE h.village_id = v.code AND t.state = 'submitted' AND t.picture_id IS NULL LIMIT %s) p)
      FROM unnest(%s::text[]) AS v(code) ORDER BY v.code"""


@dataclass
class Village:
    """A village on the desk's first page. Numbers of `COUNTED_TO` mean: so many or more."""

    division: Division
    waiting: int
    oldest: datetime | None
    photoless: int
    kinds: dict[str, int] = field(default_factory=dict)
    second_looks: int = 0

    @property
    def flags(self) -> list[tuple[str, str, int]]:
        """Kind, its name, and how many trees or households have it open; in the order of the kinds."""
        return [(kind.value, str(kind.label), self.kinds[kind]) for kind in Flag.Kind if kind in self.kinds]


def waiting() -> QuerySet[Tree]:
    """Trees that can be reviewed: submitted, with an accepted picture."""
    return Tree.objects.filter(state=Tree.State.SUBMITTED, picture__isnull=False)


def villages(user: User, *, after: str = "") -> tuple[list[Village], str]:
    """A page of the user's villages in which there is something to do, and where the next page begins ("" if none)."""
    households = Household.objects.visible_to(user)
    trees = Tree.objects.filter(household=OuterRef("pk"), state=Tree.State.SUBMITTED)
    looks = due(user).filter(tree__household=OuterRef("pk")).order_by()
    busy = households.filter(
        Exists(trees.filter(picture__isnull=False)) | Exists(trees.filter(picture__isnull=True)) | Exists(looks)
    )
    found = list(
        busy.filter(village__gt=after)
        .order_by("village")
        .values_list("village", flat=True)
        .distinct()[: VILLAGES_A_PAGE + 1]
    )
    codes = found[:VILLAGES_A_PAGE]
    names = Division.objects.select_related("parent").in_bulk(codes)
    with connection.cursor() as cursor:
        cursor.execute(_VILLAGES, [COUNTED_TO, COUNTED_TO, codes])
        page = [Village(names[code], *rest) for code, *rest in cursor.fetchall()]
    _add_flags(page)
    _add_second_looks(page, user)
    return page, codes[-1] if len(found) > VILLAGES_A_PAGE else ""


def _add_flags(page: list[Village]) -> None:
    """Counts the open flags of trees that can be reviewed, and of households that have such trees."""
    codes = [village.division.code for village in page]
    flags = Flag.objects.filter(settled_at__isnull=True, household__village__in=codes)
    of_trees = flags.filter(tree__state=Tree.State.SUBMITTED, tree__picture__isnull=False)
    of_households = flags.filter(Exists(waiting().filter(household=OuterRef("household"))), tree__isnull=True)
    counted: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for some in (of_trees, of_households):
        for code, kind, count in some.values_list("household__village", "kind").annotate(count=Count("pk")):
            counted[code][kind] += count
    for village in page:
        village.kinds = counted[village.division.code]


def _add_second_looks(page: list[Village], user: User) -> None:
    codes = [village.division.code for village in page]
    looks = due(user).filter(tree__household__village__in=codes).order_by()
    counted = dict(looks.values_list("tree__household__village").annotate(count=Count("pk")))
    for village in page:
        village.second_looks = counted.get(village.division.code, 0)


@dataclass(frozen=True)
class Queue:
    """The waiting trees a reviewer goes through: those they may see, of one village or all, with or without flags."""

    user: User
    village: str = ""
    only: str = ""  # "", "clean", "flagged" or a kind of flag.

    @property
    def query(self) -> str:
        """The queue as it stands in addresses."""
        return urlencode({key: value for key, value in (("in", self.village), ("only", self.only)) if value})

    @property
    def households(self) -> QuerySet[Household]:
        """The households whose trees may be in the queue."""
        found = Household.objects.visible_to(self.user)
        if self.village:
            found = found.filter(village=self.village)
        flags = Flag.objects.filter(household=OuterRef("pk"), settled_at__isnull=True)
        if self.only in Flag.Kind.values or self.only == FLAGGED:
            return found.filter(Exists(flags.filter(kind__in=self.kinds)))
        if self.only == CLEAN:
            return found.exclude(Exists(flags.filter(tree__isnull=True)))
        return found

    @property
    def kinds(self) -> list[str]:
        """The kinds of flags that matter to this queue."""
        return [self.only] if self.only in Flag.Kind.values else list(Flag.Kind.values)

    def trees(self, limit: int, *, after: Tree | None = None, backwards: bool = False) -> list[Any]:
        """The next trees after one (or before it), with all that lists show of them."""
        ids = self._next(limit, after, backwards)
        rows = with_sight(Tree.objects.filter(pk__in=ids)).select_related("species", "household__village", "picture")
        by_pk = {tree.pk: tree for tree in rows}
        return [by_pk[pk] for pk in ids if pk in by_pk]

    def _next(self, limit: int, after: Tree | None, backwards: bool) -> list[int]:
        flags = {"": "", CLEAN: f"AND NOT {_FLAGGED}"}.get(self.only, f"AND {_FLAGGED}")
        sign, way = ("<", "DESC") if backwards else (">", "ASC")
        try:
            households, values = self.households.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:
            return []
        # Only names and operators of our own are put into the text; all values are parameters.
        sql = _NEXT.format(households=households, past=f"{sign}=", way=way, after=sign, flags=flags)
        here = (after.household_id, after.registered_at, after.pk) if after else (0, None, 0)
        kinds = [self.kinds, self.kinds] if flags else []
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, here[0], here[0], here[1], here[2], *kinds, limit, limit])
            return [row[0] for row in cursor.fetchall()]

    def position(self, tree: Tree) -> tuple[Any | None, Any | None]:
        """The trees before and after one in the queue; None at its ends."""
        before, after = (self.trees(1, after=tree, backwards=backwards) for backwards in (True, False))
        return next(iter(before), None), next(iter(after), None)


def numbered(user: User, numbers: Iterable[str]) -> list[Tree]:
    """The trees of these numbers that the user may see."""
    return list(Tree.objects.visible_to(user).filter(number__in=list(numbers)))
