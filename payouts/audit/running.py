"""Checking statements: one after another on the caller's connection, or some at once on connections of their own that
see one and the same moment."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, transaction

from carbonsink.states import Stateful

# Queries, each with its parameters, whose rows are the offenders; or what names them where no query can.
Look = list[tuple[str, list[Any] | None]] | Callable[[], list[str]]
# {sentence: how offenders are found}
Statements = dict[str, Look]
# Of a whole year's sales a hash or a sort fits into this; what is compiled is used once.
_SETTINGS = ["SET LOCAL work_mem = '64MB'", "SET LOCAL jit = off"]
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
MOST_NAMED = 10


@dataclass(frozen=True)
class Outcome:
    """A statement that was checked: up to ten that break it, and how many seconds it took."""

    sentence: str
    offenders: list[str]
    seconds: float


def of_texts(checks: dict[str, str]) -> Statements:
    """Statements of one query each."""
    return {sentence: [(query, None)] for sentence, query in checks.items()}


def of_states() -> Statements:
    """For each model with states: its moves are those that its table allows, and each object is where its last move
    led, or where objects may begin."""
    found: Statements = {}
    for model in apps.get_models():
        if issubclass(model, Stateful):
            found[f"states of {model._meta.label_lower} changed outside its table"] = _illegal_moves(model)
    return found


def _illegal_moves(model: type[Stateful]) -> list[tuple[str, list[Any] | None]]:
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
    return [(forbidden, [label, pairs]), (strayed, [label, _first_states(model)])]


def _first_states(model: type[Stateful]) -> list[str]:
    """The states an object can begin in: the default one, and all that no move leads to."""
    field = model._meta.get_field("state")  # type: ignore[misc]
    default = [field.get_default()] if field.has_default() else []  # type: ignore[union-attr]
    reached = set().union(*model.MOVES.values())
    return default + [state for state in model.State.values if state not in reached]  # type: ignore[attr-defined]


def check(statements: Statements, jobs: int = 1) -> Iterator[Outcome]:
    """Checks the statements and gives the outcome of each when it is known.

    One job uses the caller's connection, and sees what its transaction sees. More of them have connections of their
    own, which see what was committed at one moment. Raises the error of a connection that fails.
    """
    if jobs > 1:
        yield from _at_once(statements, jobs)
        return
    with transaction.atomic():
        _begin()
        for sentence, queries in statements.items():
            yield _outcome(sentence, queries)


def _at_once(statements: Statements, jobs: int) -> Iterator[Outcome]:
    todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome | Exception | None] = queue.SimpleQueue()
    all_see_it = threading.Barrier(jobs + 1)
    running: list[Any] = []
    for statement in statements.items():
        todo.put(statement)

    def work() -> None:
        try:
            with transaction.atomic():
                _begin(snapshot)
                running.append(connection.connection)
                all_see_it.wait()
                while True:
                    done.put(_outcome(*todo.get_nowait()))
        except queue.Empty:
            pass
        except Exception as error:
            done.put(error)
            all_see_it.abort()
            raise
        finally:
            connection.close()
            done.put(None)

    with ThreadPoolExecutor(jobs) as threads:
        try:
            with transaction.atomic(durable=True):
                snapshot = _export()
                for _ in range(jobs):
                    threads.submit(work)
                with suppress(threading.BrokenBarrierError):  # Then the error is in `done`.
                    all_see_it.wait()
            for _ in range(jobs):
                while outcome := done.get():
                    if isinstance(outcome, Exception):
                        raise outcome
                    yield outcome
        finally:
            all_see_it.abort()
            _stop(todo, running)


def _export() -> str:
    """The name of this moment, under which other connections see it as long as this transaction lasts."""
    with connection.cursor() as cursor:
        cursor.execute(_ONE_MOMENT)
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def _stop(todo: queue.SimpleQueue[Any], running: list[Any]) -> None:
    """Lets nobody begin another statement, and ends those that are being checked: whoever asked has gone or failed."""
    while not todo.empty():
        todo.get()
    for other in running:
        if not other.closed:
            other.cancel()


def _begin(snapshot: str = "") -> None:
    with connection.cursor() as cursor:
        if snapshot:
            cursor.execute(_ONE_MOMENT)
            cursor.execute("SET TRANSACTION SNAPSHOT %s", [snapshot])
        for setting in _SETTINGS:
            cursor.execute(setting)


def _outcome(sentence: str, look: Look) -> Outcome:
    begun = time.perf_counter()
    offenders = look() if callable(look) else _rows(look)
    return Outcome(sentence, offenders, time.perf_counter() - begun)


def _rows(queries: list[tuple[str, list[Any] | None]]) -> list[str]:
    offenders = []
    with connection.cursor() as cursor:
        for query, params in queries:
            cursor.execute(query, params)
            offenders += [str(row[0]) for row in cursor.fetchmany(MOST_NAMED)]
    return offenders
