"""python -m bench [--scale 0.01] [--rounds 3] [--case NAME …] [--json FILE] [--dir .bench]

Runs our doors beside the floor on embedded servers of its own, shows a table, and exits 1 when a goal is missed.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.measure import Result, Say, Setting
from carbonsink import embedded

Case = Callable[[Setting], Result]


def cases() -> dict[str, Case]:
    """All cases in the order in which they run: what one leaves behind, the next may need."""
    from bench.cases import captures, certificates, imports, orders, payouts, photos

    return {
        "households.import": imports.households,
        "trees.import": imports.trees,
        "photo.12mp": photos.photo,
        "order.1": orders.one,
        "order.1000": orders.thousand,
        "order.100000": orders.hundred_thousand,
        "order.expire": orders.expire,
        "order.beside": orders.beside,
        "notification.1": captures.one,
        "notification.10000": captures.ten_thousand,
        "buyers.32": orders.buyers,
        "buyers.32.95%": orders.buyers_at_the_end,
        "certificate.png": certificates.pictures,
        "certificate.pdf": certificates.papers,
        "payouts.run": payouts.run,
        "audit": payouts.audit,
    }


def main(arguments: list[str]) -> int:
    """Parse the command line, run the cases, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.01, help="part of the whole world (default 0.01)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured (default 3)")
    parser.add_argument("--case", action="append", help="only this case and those it needs; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--dir", type=Path, default=Path(".bench"), help="where everything lies; emptied at the end")
    options = parser.parse_args(arguments)
    try:
        results = measure(options)
    except (embedded.EmbeddedError, RuntimeError) as error:
        Console(stderr=True).print(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        return 130
    return conclude(results, options)


def measure(options: argparse.Namespace) -> list[Result]:
    """Runs the cases on servers of their own, of which nothing is left afterwards."""
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)  # Nobody else's database is measured, let alone emptied.
    servers = embedded.start(options.dir / "servers", fresh=True)
    try:
        with servers:
            return run(options, servers.environment, Console(stderr=True))
    finally:
        shutil.rmtree(options.dir / "files", ignore_errors=True)
        embedded.remove(options.dir / "servers")
        with suppress(OSError):
            options.dir.rmdir()  # Unless somebody keeps something there.


def conclude(results: list[Result], options: argparse.Namespace) -> int:
    """The table, the JSON if it was asked for, and the exit code: 1 when a goal is missed."""
    show(results, options)
    if options.json:
        options.json.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
    return 0 if all(result.ok for result in results) else 1


def run(options: argparse.Namespace, servers: dict[str, str], console: Console) -> list[Result]:
    """All wanted cases on servers that are up."""
    from bench.database import Databases, prepare
    from bench.world import World

    files = options.dir / "files"
    files.mkdir(exist_ok=True)
    databases = Databases(servers["DATABASE_URL"])
    os.environ |= servers | {
        "DEPLOYMENT": "test",
        "DJANGO_SETTINGS_MODULE": "carbonsink.settings",
        "DATABASE_URL": databases.url(databases.fresh("bench_divisions")),
        "MEDIA_ROOT": str(files / "media"),
    }
    import django

    django.setup()
    with console.status("") as status:
        status.update("making the world")
        prepare(World(options.scale))
        results = []
        for name, case in cases().items():
            if options.case and not any(name == wanted or needs(wanted, name) for wanted in options.case):
                continue
            setting = Setting(
                scale=options.scale,
                rounds=options.rounds,
                directory=files,
                databases=databases,
                say=_saying(console, name),
            )
            status.update(name)
            results.append(case(setting))
    return results


def _saying(console: Console, name: str) -> Say:
    """Says what a case has to say, with its name."""
    return lambda line: console.log(f"{name}: {line}")


def needs(wanted: str, other: str) -> bool:
    """Whether a case needs what another one leaves behind."""
    return (wanted, other) in (("trees.import", "households.import"), ("audit", "payouts.run"))


def show(results: list[Result], options: argparse.Namespace) -> None:
    """The table."""
    table = Table(
        title=f"SCALE={options.scale:g}, medians of {options.rounds}, {platform.machine()}, {os.cpu_count()} cores"
    )
    for heading in ("case", "ours", "floor", "ratio", "goal", "also", "ok"):
        table.add_column(heading, justify="left" if heading in ("case", "also") else "right", no_wrap=heading != "also")
    for result in results:
        also = [f"{name} {value:,}" for name, value in result.figures.items()]
        also += [f"{name} {value:g} ≤ {most:g}" for name, (value, most) in result.limits.items()]
        table.add_row(
            result.case,
            f"{result.ours_s:.3f} s",
            f"{result.floor_s:.3f} s",
            f"{result.ratio:.2f} ×",
            f"≤ {result.goal:g} ×" if result.goal else "–",
            ", ".join(also),
            "yes" if result.ok else "NO",
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
