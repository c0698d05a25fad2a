"""What is suspicious about a tree: one rule for each kind, each one statement for any number of trees.

The thresholds and their reasons: docs/decisions/0009-what-is-suspicious.md.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from django.db import connection

from trees import boundaries
from trees.distances import METRES_PER_DEGREE
from trees.flags.raising import Finding
from trees.models import Flag, Species, Tree

CLOSE_M = 1
WALK_M_PER_S = 2.5
# What a position without an accuracy is taken for: a poor fix under trees.
UNKNOWN_ACCURACY_M = 50
# The outlines that can be had are simplified; see docs/decisions/0009-what-is-suspicious.md.
OUTLINE_TOLERANCE_M = 2000
FEWEST_OTHERS = 5
# So that one household with hundreds of trees does not make the middle of its village.
TREES_OF_A_HOUSEHOLD = 10
# For species without a figure of their own. Of 37,649 measured street trees of Ljubljana (2022), 99.9 % are thinner
# than 118 cm; the thickest bamboo, Dendrocalamus sinicus, has culms of 20 to 30 cm (Flora of China 22).
LARGEST_DBH_CM = {Species.Form.TREE: 120, Species.Form.BAMBOO: 30}

# They stand in nobody's way any more. A rejected tree does: it can be corrected and come again.
LEFT = [Tree.State.DEAD, Tree.State.FELLED, Tree.State.WITHDRAWN, Tree.State.EXPIRED]
# What counts towards the household's limit.
TAKEN = [Tree.State.SUBMITTED, Tree.State.APPROVED, Tree.State.SUSPENDED]


def _metres(a: str, b: str) -> str:
    """SQL: metres between two rows with lon and lat, by equirectangular projection (to 0.3 % within 100 km)."""
    return (
        f"({METRES_PER_DEGREE} * sqrt(({b}.lat - {a}.lat)::float8 ^ 2"
        f" + (({b}.lon - {a}.lon)::float8 * cos(radians(({a}.lat + {b}.lat)::float8 / 2))) ^ 2))"
    )


def _rows(sql: str, tree_ids: list[int], **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"ids": tree_ids, "left": [str(state) for state in LEFT], **parameters})
        return cursor.fetchall()


def too_close(tree_ids: list[int]) -> Iterator[Finding]:
    """The nearest other tree within a metre, whoever's it is."""
    # The first bounds, in degrees, are what the index on (lat, lon) knows.
    sql = f"""
        SELECT t.id, t.household_id, near.id, near.metres, t.accuracy_m, near.accuracy_m
          FROM trees_tree t
         CROSS JOIN LATERAL (
            SELECT o.id, o.accuracy_m, {_metres("t", "o")} AS metres FROM trees_tree o
             WHERE o.lat IS NOT NULL AND o.lat BETWEEN t.lat - 0.00001 AND t.lat + 0.00001
               AND o.lon BETWEEN t.lon - (0.00001 / greatest(cos(radians(t.lat::float8)), 0.01))::numeric
                             AND t.lon + (0.00001 / greatest(cos(radians(t.lat::float8)), 0.01))::numeric
               AND o.id <> t.id AND o.state <> ALL(%(left)s)
             ORDER BY metres, o.id LIMIT 1
         ) near
         WHERE t.id = ANY(%(ids)s) AND t.lat IS NOT NULL AND near.metres < {CLOSE_M}"""  # noqa: S608
    for tree, household, other, metres, accuracy, other_accuracy in _rows(sql, tree_ids):
        evidence = {"distance_m": round(metres, 2), "accuracy_m": accuracy, "other_accuracy_m": other_accuracy}
        yield Finding(Flag.Kind.TOO_CLOSE, tree, household, other, evidence)


def outside_outline(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees outside the outline of their village, else of their township, else of their county."""
    sql = """
        SELECT t.id, t.household_id, t.lon::float8, t.lat::float8, coalesce(t.accuracy_m, 0), b.division_id, b.version
          FROM trees_tree t JOIN trees_household h ON h.id = t.household_id
         CROSS JOIN LATERAL (
            SELECT division_id, xmin::text || ctid::text AS version FROM trees_boundary
             WHERE division_id IN (h.village_id, left(h.village_id, 9) || '000', left(h.village_id, 6) || '000000')
             ORDER BY division_id DESC LIMIT 1
         ) b
         WHERE t.id = ANY(%(ids)s) AND t.lat IS NOT NULL"""
    within = defaultdict(list)
    for *tree, code, version in _rows(sql, tree_ids):
        within[code, version].append(tree)
    for (code, version), trees in within.items():
        positions = np.array([tree[2:4] for tree in trees])
        metres = boundaries.outline(code, version).metres_outside(positions[:, 0], positions[:, 1])
        for (tree, household, _lon, _lat, accuracy), outside in zip(trees, metres.tolist(), strict=True):
            if outside > OUTLINE_TOLERANCE_M + accuracy:
                evidence = {"distance_km": round(outside / 1000, 1), "boundary": code}
                yield Finding(Flag.Kind.OUTSIDE_VILLAGE, tree, household, evidence=evidence)


def far_from_village(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees farther than the programme allows from the median position of their village's trees, of which each
    household gives its first ten; once there are five others."""
    sql = f"""
        WITH looked AS (
            SELECT t.id, t.household_id, t.lon, t.lat, coalesce(t.accuracy_m, 0) AS accuracy_m, h.village_id,
                   p.village_radius_km
              FROM trees_tree t JOIN trees_household h ON h.id = t.household_id
              JOIN trees_programme p ON p.id = h.programme_id
             WHERE t.id = ANY(%(ids)s) AND t.lat IS NOT NULL
        ), middle AS (
            SELECT v.village_id, array_agg(s.id) AS ids,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY s.lon::float8)::numeric AS lon,
                   percentile_cont(0.5) WITHIN GROUP (ORDER BY s.lat::float8)::numeric AS lat
              FROM (SELECT DISTINCT village_id FROM looked) v JOIN trees_household h ON h.village_id = v.village_id
             CROSS JOIN LATERAL (
                SELECT o.id, o.lon, o.lat FROM trees_tree o
                 WHERE o.household_id = h.id AND o.lat IS NOT NULL AND o.state <> ALL(%(left)s)
                 ORDER BY o.ordinal LIMIT {TREES_OF_A_HOUSEHOLD}
             ) s
             GROUP BY v.village_id
        )
        SELECT t.id, t.household_id, {_metres("t", "m")}
          FROM looked t JOIN middle m ON m.village_id = t.village_id
         WHERE cardinality(m.ids) - (t.id = ANY(m.ids))::int >= {FEWEST_OTHERS}
           AND {_metres("t", "m")} - t.accuracy_m > t.village_radius_km * 1000"""  # noqa: S608
    for tree, household, metres in _rows(sql, tree_ids):
        evidence = {"distance_km": round(metres / 1000, 1)}
        yield Finding(Flag.Kind.OUTSIDE_VILLAGE, tree, household, evidence=evidence)


# When a tree was recorded: by the device, or, over a page, when it arrived. A file tells neither: imported trees have
# no pace. The index trees_tree_pace is on this.
RECORDED = "coalesce({0}.captured_at, {0}.registered_at)"


def crowded_hour(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees in an hour in which their officer recorded more of them than the programme allows."""

    def others(since: str, until: str) -> str:
        return f"""SELECT count(*) FROM trees_tree o
             WHERE o.measured_by_id = t.measured_by_id AND o.imported_from_id IS NULL
               AND {RECORDED.format("o")} >= {RECORDED.format("t")} {since}
               AND {RECORDED.format("o")} <= {RECORDED.format("t")} {until}"""  # noqa: S608

    sql = f"""
        SELECT t.id, t.household_id, counted.trees, p.max_trees_per_hour
          FROM trees_tree t JOIN trees_household h ON h.id = t.household_id
          JOIN trees_programme p ON p.id = h.programme_id
         CROSS JOIN LATERAL (
            SELECT greatest(({others("- interval '1 hour'", "")}), ({others("", "+ interval '1 hour'")})) AS trees
            OFFSET 0  -- Or each would be counted twice, once for the comparison.
         ) counted
         WHERE t.id = ANY(%(ids)s) AND t.imported_from_id IS NULL
           AND counted.trees > p.max_trees_per_hour"""  # noqa: S608
    for tree, household, trees, most in _rows(sql, tree_ids):
        yield Finding(Flag.Kind.PACE, tree, household, evidence={"trees_in_hour": trees, "most_per_hour": most})


def too_fast(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees to which their officer came, or from which they went, faster than anybody walks, by the device's clock."""

    def next_tree(after: str, way: str) -> str:
        return f"""(SELECT o.id, o.lon, o.lat, o.accuracy_m, o.captured_at FROM trees_tree o
             WHERE o.measured_by_id = t.measured_by_id AND o.imported_from_id IS NULL AND o.id <> t.id
               AND o.captured_at IS NOT NULL AND o.lat IS NOT NULL AND {after}
             ORDER BY {RECORDED.format("o")} {way}, o.id {way} LIMIT 1)"""  # noqa: S608

    recorded = RECORDED.format("o")
    before = next_tree(f"{recorded} BETWEEN t.captured_at - interval '1 hour' AND t.captured_at", "DESC")
    after = next_tree(f"{recorded} BETWEEN t.captured_at AND t.captured_at + interval '1 hour'", "ASC")
    sql = f"""
        SELECT t.id, t.household_id, o.id, way.metres, way.seconds
          FROM trees_tree t
         CROSS JOIN LATERAL ({before} UNION {after}) o
         CROSS JOIN LATERAL (
            SELECT {_metres("t", "o")} AS metres, abs(extract(epoch FROM o.captured_at - t.captured_at)) AS seconds
         ) way
         WHERE t.id = ANY(%(ids)s) AND t.imported_from_id IS NULL AND t.captured_at IS NOT NULL AND t.lat IS NOT NULL
           AND way.metres - coalesce(t.accuracy_m, %(unknown)s) - coalesce(o.accuracy_m, %(unknown)s)
               > {WALK_M_PER_S} * way.seconds"""  # noqa: S608
    for tree, household, other, metres, seconds in _rows(sql, tree_ids, unknown=UNKNOWN_ACCURACY_M):
        evidence = {"distance_m": round(metres), "seconds": round(seconds)}
        yield Finding(Flag.Kind.PACE, tree, household, other, evidence)


def oversize(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees thicker than their species, or, where no figure is known for it, than nearly any tree or bamboo."""
    sql = """
        SELECT t.id, t.household_id, t.dbh_cm::float8, s.max_dbh_cm::float8, s.form
          FROM trees_tree t JOIN trees_species s ON s.id = t.species_id
         WHERE t.id = ANY(%(ids)s)
           AND t.dbh_cm > coalesce(s.max_dbh_cm, CASE s.form WHEN 'bamboo' THEN %(bamboo)s ELSE %(tree)s END)"""
    general = {"bamboo": LARGEST_DBH_CM[Species.Form.BAMBOO], "tree": LARGEST_DBH_CM[Species.Form.TREE]}
    for tree, household, dbh_cm, largest, form in _rows(sql, tree_ids, **general):
        evidence = {"dbh_cm": dbh_cm, "largest_cm": largest or general[form], "of_species": largest is not None}
        yield Finding(Flag.Kind.OVERSIZE, tree, household, evidence=evidence)


def over_limit(tree_ids: list[int]) -> Iterator[Finding]:
    """Trees that come, by their ordinals, after as many as the household may have."""
    # A tree's place is never after its ordinal: nearly all trees are done with by the first comparison.
    sql = """
        SELECT t.id, t.household_id, taken.place, p.max_trees_per_household
          FROM trees_tree t JOIN trees_household h ON h.id = t.household_id
          JOIN trees_programme p ON p.id = h.programme_id AND t.ordinal > p.max_trees_per_household
         CROSS JOIN LATERAL (
            SELECT count(*) AS place FROM trees_tree o
             WHERE o.household_id = t.household_id AND o.ordinal <= t.ordinal AND o.state = ANY(%(taken)s)
         ) taken
         WHERE t.id = ANY(%(ids)s) AND t.state = ANY(%(taken)s) AND taken.place > p.max_trees_per_household"""
    for tree, household, place, most in _rows(sql, tree_ids, taken=[str(state) for state in TAKEN]):
        yield Finding(Flag.Kind.OVER_LIMIT, tree, household, evidence={"place": place, "most_trees": most})


# Of two findings of the same kind about the same thing, the first one's evidence is kept.
RULES: list[Callable[[list[int]], Iterator[Finding]]] = [
    too_close, outside_outline, far_from_village, crowded_hour, too_fast, oversize, over_limit,
]  # fmt: skip
KINDS = [
    Flag.Kind.TOO_CLOSE, Flag.Kind.OUTSIDE_VILLAGE, Flag.Kind.PACE, Flag.Kind.OVERSIZE, Flag.Kind.OVER_LIMIT,
]  # fmt: skip
