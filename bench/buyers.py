"""python -m bench.buyers SIDE DATABASE_URL THREADS ORDERS: threads that buy so many trees each, one after the other, on
connections of their own. Says "ready", begins at the first line of its input, and writes errors and the slowest as
JSON."""

import json
import sys
import threading
import time
from collections.abc import Callable


def main(side: str, url: str, threads: int, orders: int) -> None:
    """Buys on one side, `ours` or `floor`."""
    buy_one = {"ours": _ours, "floor": _floor}[side]
    slowest: list[float] = []
    errors: list[str] = []
    begin = threading.Event()

    def buyer(number: int) -> None:
        buy = buy_one(url, number)
        buy()
        ready.release()
        begin.wait()
        for _ in range(orders):
            begun = time.perf_counter()
            try:
                buy()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                errors.append(repr(error))
            slowest.append(time.perf_counter() - begun)

    ready = threading.Semaphore(0)
    running = [threading.Thread(target=buyer, args=[number]) for number in range(threads)]
    for thread in running:
        thread.start()
    for _ in running:
        ready.acquire()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begin.set()
    for thread in running:
        thread.join()
    sys.stdout.write(json.dumps({"slowest_s": max(slowest), "errors": errors}) + "\n")


def _ours(url: str, number: int) -> Callable[[], object]:
    from bench.cases.orders import place_ours

    return lambda: place_ours(1)


def _floor(url: str, number: int) -> Callable[[], object]:
    import psycopg

    from bench import floor

    connection = psycopg.connect(url, autocommit=True)
    return lambda: floor.place(connection, 1)


if __name__ == "__main__":
    import django

    django.setup()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
