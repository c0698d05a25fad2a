"""python -m payouts.demo: the whole platform on this machine, nothing prepared. `make help` tells more."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from carbonsink import embedded
from carbonsink.embedded import children

from . import environment
from .processes import ROOT, DemoError, Platform, choose_port

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or the terminal was closed."""


def main(arguments: list[str]) -> int:
    """Run the demo. 0 when all went well, 1 with a sentence when something did not."""
    options = _options(arguments)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for number in ENDING_SIGNALS:
        signal.signal(number, _end)
    try:
        if options.manage:
            return _manage(options.dir.resolve(), options.manage)
        return _run(options, console)
    except (DemoError, embedded.EmbeddedError) as error:
        for line in error.last_lines() if isinstance(error, DemoError) else []:
            sys.stderr.write(f"    {line}\n")
        sys.stderr.write(f"{error}\n")
        return 1
    except Ended:
        return 128 + signal.SIGINT


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m payouts.demo", description=__doc__)
    parser.add_argument("--dir", type=Path, default=Path(".demo"), help="where everything is kept")
    parser.add_argument("--port", type=int, help="port of the web pages; else the first free one from 8000 on")
    parser.add_argument("--reset", action="store_true", help="remove what an earlier run left")
    parser.add_argument("--once", action="store_true", help="end after one tree's way; 0 if every fen arrived")
    parser.add_argument("--up", action="store_true", help="the parts only, without the demo world")
    parser.add_argument("--manage", nargs=argparse.REMAINDER, help="run manage.py on the demo's database")
    return parser.parse_args(arguments)


def _end(number: int, frame: FrameType | None) -> None:
    # Once is enough: what follows is the orderly end, which another Ctrl-C must not cut short.
    for other in ENDING_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Ended


def _run(options: argparse.Namespace, console: Console) -> int:
    if options.reset and os.environ.get("DATABASE_URL"):
        raise DemoError("RESET empties embedded servers only: empty the database of DATABASE_URL yourself.")
    port = choose_port(options.port)
    directory = options.dir.resolve()
    servers = embedded.start(directory, fresh=options.reset, say=console.print)
    platform = Platform(directory, servers, port)
    code, serving = 0, False
    try:
        people = _start(platform, console, with_world=not options.up)
        if not options.up:
            code = platform.show("walk_the_tree")
            if code != 0:
                console.print(f"The tree's way did not end well (exit code {code}).", style="bold red")
        if not options.once:
            console.print(_card(platform, people))
            serving = True
            platform.serve()
    except Ended:
        if not serving:
            raise
    finally:
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        platform.stop()
    return code


def _start(platform: Platform, console: Console, *, with_world: bool) -> list[dict[str, str]]:
    """Start every part in its order; gives the sign-ins of the demo world."""
    for server in platform.servers.running:
        console.print(f"{server.name} {server.version} runs on port {server.port}, log {_short(server.log)}")
    standins = platform.start_standins()
    console.print(
        f"Stand-ins: bank {standins['bank']}, WeChat Pay {standins['wechatpay']}, Alipay {standins['alipay']}"
    )
    platform.set_environment(standins)
    people: list[dict[str, str]] = []
    with platform.collecting_static(console.print):
        console.print("Bringing the database up to date …")
        platform.manage("migrate", "--noinput", "--verbosity=0")
        if with_world:
            console.print("Opening the demo world …")
            people = json.loads(platform.manage("open_demo_world"))
    platform.start_web()
    platform.start_worker()
    platform.start_beat()
    console.print(f"Web, worker and beat are up: {platform.url}")
    return people


def _manage(directory: Path, command: list[str]) -> int:
    """Run manage.py with the settings of the demo, which need not be running."""
    line: list[str | Path] = [sys.executable, ROOT / "manage.py", *command]
    if embedded.is_running(directory):
        if not (directory / environment.EXPORTS).exists():
            raise DemoError("The demo is starting or ending: try again in a moment.")
        own = environment.read_exports(directory)
        return children.run_in_foreground(line, environment=environment.of_children(own))
    if not (directory / environment.SECRETS).exists():
        raise DemoError(f"There is no demo in {directory} yet: run make demo first.")
    with embedded.start(directory) as servers:
        own = environment.settings(directory, port=8000, standins=environment.NOBODY) | servers.environment
        return children.run_in_foreground(line, environment=environment.of_children(own))


def _card(platform: Platform, people: list[dict[str, str]]) -> Panel:
    """What a person needs to look around: addresses and sign-ins."""
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("Pages", f"{platform.url}/")
    addresses.add_row("Admin", f"{platform.url}/admin/")
    addresses.add_row("Bank (stand-in)", platform.environment["STANDIN_BANK_URL"])
    addresses.add_row("WeChat Pay (stand-in)", platform.environment["WECHATPAY_BASE_URL"])
    addresses.add_row("Alipay (stand-in)", platform.environment["ALIPAY_GATEWAY_URL"].removesuffix("/gateway.do"))
    addresses.add_row("manage.py", f". {_short(platform.directory / environment.EXPORTS)}")
    addresses.add_row("E-mails and SMS", _short(platform.directory / "mail"))
    addresses.add_row("Logs", _short(platform.directory / "logs"))
    rows: list[Table | Text] = [addresses]
    if people:
        table = Table(box=None, header_style="dim")
        columns = list(dict.fromkeys(key for person in people for key in person))
        for column in columns:
            table.add_column(column)
        for person in people:
            table.add_row(*(person.get(column, "") for column in columns))
        rows += [Text(), table]
    return Panel(Group(*rows), title="The demo is open", subtitle="Ctrl-C ends it", expand=False)


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
