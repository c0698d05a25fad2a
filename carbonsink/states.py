"""The one door for state changes: `move` and `move_many`, their history, and who listens to them.

A model with states inherits `Stateful` and lists its allowed moves in `MOVES`. A higher floor listens by calling
`on_move` in its `AppConfig.ready`; the listener runs in the same transaction as the move.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError

Listener = Callable[[list[int], str], None]
# Model, states moved to, states moved from (empty: whichever), and what is called.
_listeners: list[tuple[type[models.Model], frozenset[str], frozenset[str], Listener]] = []


class StateChange(models.Model):
    """One row for each change of any state, append-only: who, when, from, to, why."""

    thing = models.CharField(max_length=60)
    object_id = models.BigIntegerField()
    from_state = models.CharField(max_length=20)
    to_state = models.CharField(max_length=20)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        app_label = "carbonsink"
        indexes = [models.Index(fields=["thing", "object_id", "at"], name="carbonsink_statechange_thing")]


class Stateful(models.Model):
    """Base of a model with a `state` field and a table of allowed `MOVES` {from: {to, …}}."""

    MOVES: ClassVar[dict[str, set[str]]] = {}

    class Meta:
        abstract = True

    @classmethod
    def sources(cls, to: str) -> list[str]:
        """The states from which `to` may be reached."""
        return [source for source, targets in cls.MOVES.items() if to in targets]

    def history(self) -> models.QuerySet[StateChange]:
        """All changes of this object's state, oldest first."""
        return StateChange.objects.filter(thing=self._meta.label_lower, object_id=self.pk).order_by("at", "pk")


def on_move(model: type[models.Model], *, to: Iterable[str], came_from: Iterable[str] = (), do: Listener) -> None:
    """Has `do(ids, to)` called in the transaction of every move of `model` to one of the states `to`; with
    `came_from`, only for those that were in one of these states before."""
    _listeners.append((model, frozenset(to), frozenset(came_from), do))


def move_many(
    queryset: models.QuerySet[Any], to: str, *, by: Any = None, reason: str = "", **updates: Any
) -> list[int]:
    """Moves all rows of the queryset that may go to `to`, and returns their ids.

    Rows in a state from which `to` is not allowed stay as they are. `updates` are further columns to set in the same
    UPDATE. Locks in primary-key order; one statement changes the rows and writes their history.
    """
    model = queryset.model
    quote = connection.ops.quote_name
    assignments, values = ["state = %s"], [to]
    for name, value in updates.items():
        field = model._meta.get_field(name)
        assignments.append(f"{quote(field.column)} = %s")
        value = getattr(value, "pk", value)
        values.append(field.get_db_prep_save(value, connection))
    try:
        chosen, chosen_params = queryset.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that no row can match.
        return []
    table, pk = quote(model._meta.db_table), quote(model._meta.pk.column)
    # Only names of tables and columns are put into the text; all values are parameters.
    sql = f"""
        WITH old AS (
            SELECT {pk} AS pk, state FROM {table}
             WHERE {pk} IN ({chosen}) AND state = ANY(%s) ORDER BY {pk} FOR NO KEY UPDATE
        ), changed AS (
            UPDATE {table} AS t SET {", ".join(assignments)} FROM old WHERE t.{pk} = old.pk
            RETURNING old.pk AS pk, old.state AS from_state
        )
        INSERT INTO carbonsink_statechange (thing, object_id, from_state, to_state, by_id, reason, at)
        SELECT %s, pk, from_state, %s, %s, %s, %s FROM changed ORDER BY pk
        RETURNING object_id, from_state"""  # noqa: S608
    concerned = [(sources, do) for listened, states, sources, do in _listeners if listened is model and to in states]
    # One statement needs no transaction of its own; what listeners do goes with it.
    with transaction.atomic() if concerned else nullcontext(), connection.cursor() as cursor:
        cursor.execute(
            sql,
            [
                *chosen_params,
                model.sources(to),
                *values,
                model._meta.label_lower,
                to,
                getattr(by, "pk", None),
                reason[:200],
                timezone.now(),
            ],
        )
        moved = cursor.fetchall()
        for sources, do in concerned:
            heard = [pk for pk, before in moved if not sources or before in sources]
            if heard:
                do(heard, to)
    return [pk for pk, _before in moved]


def note(obj: models.Model, before: str, after: str, *, by: Any, reason: str) -> None:
    """Writes into the history what a person decided about a thing that has no states of its own."""
    StateChange.objects.create(
        thing=obj._meta.label_lower,
        object_id=obj.pk,
        from_state=before,
        to_state=after,
        by=by,
        reason=reason[:200],
        at=timezone.now(),
    )


def move(obj: Any, to: str, *, by: Any = None, reason: str = "", **updates: Any) -> None:
    """Moves one object to state `to` and writes who, when and why. Updates `obj` in memory too.

    Raises DomainError("wrong_state") when the move is not allowed from the state the row has now.
    """
    ids = move_many(type(obj)._base_manager.filter(pk=obj.pk), to, by=by, reason=reason, **updates)
    if len(ids) != 1:
        raise DomainError(
            "wrong_state",
            _("This has changed meanwhile and cannot become “%(to)s” any more. Reload the page.") % {"to": to},
            status=409,
        )
    obj.state = to
    for name, value in updates.items():
        setattr(obj, name, value)
