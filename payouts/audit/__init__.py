"""What is always true (design: invariants), by subject, as queries that find what breaks it. None changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection

from carbonsink.states import Stateful
from payouts.audit import daily, guards, losses, money, orders, payouts, proof

# {sentence: query whose rows are the offenders}
CHECKS = {**orders.CHECKS, **money.CHECKS, **proof.CHECKS, **losses.CHECKS, **payouts.CHECKS, **daily.CHECKS}
CHECKS |= guards.CHECKS


@dataclass(frozen=True)
class Finding:
    """Something that should never be: the sentence, and up to ten of those it is true of."""

    sentence: str
    offenders: list[str]


def findings() -> Iterator[Finding]:
    """All that is wrong; nothing when all is well."""
    for sentence, query in CHECKS.items():
        offenders = _rows(query)
        if offenders:
            yield Finding(sentence, offenders)
    if offenders := daily.unsigned():
        yield Finding("daily statements whose signature does not fit", offenders)
    for model in apps.get_models():
        if issubclass(model, Stateful):
            offenders = _illegal_moves(model)
            if offenders:
                yield Finding(f"states of {model._meta.label_lower} changed outside its table", offenders)


def _illegal_moves(model: type[Stateful]) -> list[str]:
    """Moves that the table does not allow, and objects whose state is not where their last move (or none) led."""
    pairs = [f"{source}>{to}" for source, targets in model.MOVES.items() for to in targets]
    label, table = model._meta.label_lower, connection.ops.quote_name(model._meta.db_table)
    forbidden = (
        "SELECT object_id FROM carbonsink_statechange WHERE thing = %s AND from_state || '>' || to_state <> ALL(%s)"
    )
    strayed = f"""
        SELECT o.id FROM {table} o LEFT JOIN (
               SELECT DISTINCT ON (object_id) object_id, to_state FROM carbonsink_statechange
                WHERE thing = %s ORDER BY object_id, id DESC) c ON c.object_id = o.id
         WHERE o.state <> ALL(CASE WHEN c.to_state IS NULL THEN %s ELSE ARRAY[c.to_state]::text[] END)"""  # noqa: S608
    return _rows(forbidden, [label, pairs]) + _rows(strayed, [label, _first_states(model)])


def _first_states(model: type[Stateful]) -> list[str]:
    """The states an object can begin in: the default one, and all that no move leads to."""
    field = model._meta.get_field("state")  # type: ignore[misc]
    default = [field.get_default()] if field.has_default() else []  # type: ignore[union-attr]
    reached = set().union(*model.MOVES.values())
    return default + [state for state in model.State.values if state not in reached]  # type: ignore[attr-defined]


def _rows(query: str, params: list[Any] | None = None) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return [str(row[0]) for row in cursor.fetchmany(10)]
