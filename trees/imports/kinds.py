"""What differs between a file of households and one of trees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.utils import CursorWrapper

from trees.imports import household_columns, household_rows, tree_columns, tree_rows
from trees.imports.columns import Column
from trees.models import Import


@dataclass(frozen=True)
class Kind:
    """A kind of file: its columns, what is staged of a row, and the SQL that checks and stores the staged rows."""

    columns: Sequence[Column]
    # Of these columns a file needs at least one.
    one_of: Sequence[str]
    # What is staged beside the line: {column: SQL type}.
    staging: dict[str, str]
    staged: Callable[[dict[str, Any], dict[str, str]], tuple[Any, ...]]
    check: Callable[[Import, CursorWrapper], None]
    store: Callable[[Import, CursorWrapper], int]


KINDS = {
    Import.Kind.HOUSEHOLDS: Kind(
        columns=household_columns.COLUMNS,
        one_of=(),
        staging=household_columns.STAGED,
        staged=household_columns.staged,
        check=household_rows.check,
        store=household_rows.store,
    ),
    Import.Kind.TREES: Kind(
        columns=tree_columns.COLUMNS,
        one_of=tree_columns.ONE_OF,
        staging=tree_columns.STAGED,
        staged=tree_columns.staged,
        check=tree_rows.check,
        store=tree_rows.store,
    ),
}


def kind_of(batch: Import) -> Kind:
    """What the import's file holds."""
    return KINDS[Import.Kind(batch.kind)]
