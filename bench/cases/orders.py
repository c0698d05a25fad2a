"""Orders of 1, 1,000 and 100,000 trees, 32 buyers at once, and what a large order costs those beside it."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from typing import Any

import psycopg

from bench import floor
from bench.market import MARKET, VINTAGE, open_market, sell_most
from bench.measure import Result, Setting, alternate

GOALS = {1: 3.0, 1_000: 1.5, 100_000: 1.5}
BUYERS, PROCESSES = 32, 4
# At least a third of the floor's orders per second; at 95 % sold within 20 % of those before.
BUYERS_GOAL, SOLD_GOAL = 3.0, 1.25
LONGEST_WAIT_S = 1.0
EXPIRE_GOAL = 1.5
_number = itertools.count(1)
_opened: set[str] = set()


def market(setting: Setting) -> psycopg.Connection:
    """A connection to the market's database, made by the first case that sells; Django uses it from then on."""
    from django.conf import settings
    from django.db import connection

    url = setting.databases.url(MARKET)
    if url not in _opened:
        setting.say("opening the market")
        connection.close()
        open_market(setting.databases, setting.scale, connection.settings_dict["NAME"])
        connection.settings_dict["NAME"] = MARKET
        os.environ["DATABASE_URL"] = url
        # As many as there may be in this world: what earlier cases hold stays held.
        settings.UNPAID_SINKS_PER_ORGANISATION = settings.UNPAID_SINKS_IN_ALL = 10**9
        settings.ORDER_SMALL = size(1_000, setting.scale)
        _opened.add(url)
    return setting.databases.connect(MARKET)


def size(whole: int, scale: float) -> int:
    """So many trees of an order at this scale; not less than a fiftieth of a small one."""
    return max(min(whole, 20 if whole <= 1_000 else 200), round(whole * scale))


def goal_for(goal: float, whole: int, trees: int) -> float | None:
    """A goal is about its own size of order: in a small world what is the same for each order weighs too much."""
    return goal if 2 * trees >= whole else None


def place_ours(trees: int) -> int:
    """Our door: an order of so many trees anywhere, to the moment it is held; its key."""
    from purchases import large_orders
    from purchases.models import Order
    from purchases.orders import place_order

    buyer = firm() if trees >= 200 else None
    contact = buyer.contact if buyer else f"{uuid.uuid4().hex}@example.org"
    order = place_order(key=uuid.uuid4().hex, contact=contact, quantity=trees, organisation=buyer)
    if order.state == Order.State.ALLOCATING:
        large_orders.allocate_orders()
        order.refresh_from_db()
    if order.state != Order.State.HELD:
        raise RuntimeError(f"the order is {order.state}")
    return int(order.pk)


def firm() -> Any:
    """An organisation that has been checked, as those that buy thousands of trees are."""
    from django.utils import timezone

    from carbonsink.accounts.models import User
    from purchases.models import Organisation

    checked = {"checked_by": User.objects.earliest("pk"), "checked_at": timezone.now()}
    values = {"name": "bench", "kind": "enterprise", "contact": "firm@example.org", **checked}
    return Organisation.objects.get_or_create(code="91520000000000001G", defaults=values)[0]


def one(setting: Setting) -> Result:
    """One tree, anywhere."""
    return _orders(setting, 1, repeats=max(20, min(200, round(2_000 * setting.scale))))


def thousand(setting: Setting) -> Result:
    """A thousand trees, anywhere."""
    return _orders(setting, 1_000, repeats=5)


def hundred_thousand(setting: Setting) -> Result:
    """A hundred thousand trees, anywhere: ours in chunks, the floor at once."""
    return _orders(setting, 100_000, repeats=1)


def _orders(setting: Setting, whole: int, repeats: int) -> Result:
    with market(setting) as connection:
        trees = 1 if whole == 1 else size(whole, setting.scale)

        def ours() -> float:
            return _seconds(lambda: place_ours(trees), repeats)

        def by_hand() -> float:
            return _seconds(lambda: floor.place(connection, trees), repeats)

        firm(), ours(), by_hand()
        ours_s, floor_s = alternate(setting.rounds, ours, by_hand, setting.say)
    figures = {"trees": trees, "trees_per_s": round(trees / ours_s)}
    return Result(f"order.{whole}", ours_s, floor_s, goal_for(GOALS[whole], whole, trees), figures)


def _seconds(work: Any, repeats: int) -> float:
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats


def beside(setting: Setting) -> Result:
    """One-tree orders beside one of 500,000: how long the slowest of them takes. The floor is one that has nobody
    beside it."""
    with market(setting):
        trees, alone = size(500_000, setting.scale), [_seconds(lambda: place_ours(1), 1) for _ in range(20)]
        waits: list[float] = []
        errors: list[str] = []
        done = threading.Event()

        def large() -> None:
            from django.db import connection

            try:
                place_ours(trees)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must be seen
                errors.append(repr(error))
                setting.say(repr(error))
            finally:
                connection.close()
                done.set()

        thread = threading.Thread(target=large)
        begun = time.perf_counter()
        thread.start()
        while not done.is_set():
            waits.append(_seconds(lambda: place_ours(1), 1))
        thread.join()
        took = time.perf_counter() - begun
    figures = {"trees": trees, "took_s": round(took, 2), "orders_beside": len(waits)}
    limits = {"longest_wait_s": (round(max(waits, default=0), 3), LONGEST_WAIT_S), "errors": (len(errors), 0)}
    return Result("order.beside", sorted(waits)[len(waits) // 2], sorted(alone)[10], None, figures, limits)


def expire(setting: Setting) -> Result:
    """100,000 held trees that are not paid in time go back on sale."""
    from purchases import orders
    from purchases.models import Order

    with market(setting) as connection:
        trees = size(100_000, setting.scale)

        def ours() -> float:
            order = floor.place(connection, trees)
            Order.objects.filter(pk=order).update(expires_at="2026-01-01T00:00:00Z")
            return _seconds(lambda: orders.release(order), 1)

        def by_hand() -> float:
            order = floor.place(connection, trees)
            return _seconds(lambda: floor.expire(connection, order), 1)

        ours(), by_hand()
        ours_s, floor_s = alternate(setting.rounds, ours, by_hand, setting.say)
    return Result("order.expire", ours_s, floor_s, goal_for(EXPIRE_GOAL, 100_000, trees), {"trees": trees})


def buyers(setting: Setting) -> Result:
    """32 buyers at once, of one tree each, again and again."""
    with market(setting) as connection:
        return _buyers(setting, connection, "buyers.32")


def buyers_at_the_end(setting: Setting) -> Result:
    """The same when 95 % are sold. Sells them, so it comes last."""
    with market(setting) as connection:
        before = _buyers(setting, connection, "")
        sell_most(connection, 0.95)
        result = _buyers(setting, connection, "buyers.32.95%")
    slower = round(before.figures["orders_per_s"] / result.figures["orders_per_s"], 2)
    result.limits["times_as_slow"] = (slower, SOLD_GOAL)
    return result


def _buyers(setting: Setting, connection: psycopg.Connection, name: str) -> Result:
    orders = max(2, min(100, round(800 * setting.scale)))
    errors: list[str] = []
    slowest: list[float] = []

    def run(side: str) -> float:
        seconds, answers = _at_once(side, setting.databases.url(MARKET), orders)
        for answer in answers:
            errors.extend(answer["errors"])
            if side == "ours":
                slowest.append(answer["slowest_s"])
        return seconds / (BUYERS * orders)

    ours_s, floor_s = alternate(setting.rounds, lambda: run("ours"), lambda: run("floor"), setting.say)
    for error in errors[:3]:
        setting.say(error)
    figures = {"orders_per_s": round(1 / ours_s), "floor_orders_per_s": round(1 / floor_s)}
    figures["slowest_ms"] = round(max(slowest) * 1000)
    limits: dict[str, tuple[float, float]] = {"errors": (len(errors), 0), "oversold": (_oversold(connection), 0)}
    return Result(name, ours_s, floor_s, BUYERS_GOAL, figures, limits)


def _at_once(side: str, url: str, orders: int) -> tuple[float, list[dict[str, Any]]]:
    """Has all buyers buy so many orders each; the seconds it took, and what each process says."""
    command = [sys.executable, "-m", "bench.buyers", side, url, str(BUYERS // PROCESSES), str(orders)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(PROCESSES)]  # noqa: S603 - our own module
    try:
        for child in children:
            if child.stdout.readline() != "ready\n":
                raise RuntimeError("a buyer could not begin")
        begun = time.perf_counter()
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        answers = [json.loads(child.stdout.readline()) for child in children]
        return time.perf_counter() - begun, answers
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                child.kill()
            child.communicate()


def _oversold(connection: psycopg.Connection) -> int:
    """Households whose stock does not count their sinks."""
    row = connection.execute(
        """SELECT count(*) FROM purchases_stock s JOIN (
                  SELECT household_id, count(order_id) AS sold FROM purchases_sink WHERE vintage = %s GROUP BY 1) k
               ON k.household_id = s.household_id WHERE s.vintage = %s AND (k.sold <> s.sold OR s.sold > s.total)""",
        [VINTAGE, VINTAGE],
    ).fetchone()
    assert row is not None
    return int(row[0])
