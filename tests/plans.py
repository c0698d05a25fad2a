"""What the database reads to answer a statement."""

from typing import Any

from django.db import connection


def steps(statement: str) -> list[dict[str, Any]]:
    """The steps of its plan, as they were executed."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement)
        (plan,) = cursor.fetchone()
    return _below(plan[0]["Plan"])


def _below(step: dict[str, Any]) -> list[dict[str, Any]]:
    return [step, *(found for below in step.get("Plans", []) for found in _below(below))]


def rows_read(statement: str, table: str) -> float:
    """How many rows of a table were looked at, those that did not fit too."""
    return sum(
        (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]
        for step in steps(statement)
        if step.get("Relation Name") == table
    )
