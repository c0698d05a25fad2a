"""What a scenario plays on: households that sold trees, the bank behind its gate, workers and beats of our own, a clock
that can be put forward, and the end that every scenario must come to."""

import os
import random
import signal
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import InterfaceError, OperationalError, connection

from carbonsink.embedded import children
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from payouts import runs, sending, statements, tasks
from payouts.banks import by_file
from payouts.models import BankAccount, Payout
from tests import factories
from tests.chaos.gate import Gate, through
from tests.chaos.servers import Database, Redis
from tests.processes import ROOT, wait_for
from trees.models import Household

PATIENCE = 120
SETTLEMENT_NAME = "财付通支付科技有限公司"
# More than the bank takes a request for, and any caller lives.
LONG_ENOUGH = 400


class Clock:
    """The clock of every process of a play, the bank's too unless it is said otherwise."""

    def __init__(self, folder: Path) -> None:
        self.files = {whose: folder / f"clock.{whose}" for whose in ("platform", "bank")}
        for file in self.files.values():
            self._write(file, 0)

    def pass_time(self, seconds: float) -> None:
        """So much later, for everybody."""
        for whose in self.files:
            self.put_off(whose, seconds)

    def put_off(self, whose: str, seconds: float) -> None:
        """Puts one side's clock forward, or back."""
        file = self.files[whose]
        self._write(file, float(file.read_text()) + seconds)

    @staticmethod
    def _write(file: Path, seconds: float) -> None:
        draft = file.with_suffix(".new")
        draft.write_text(str(seconds))
        draft.replace(file)


class Outside:
    """A stand-in as a process that ends with ours, and its control."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], *options: str) -> None:
        self._address, self._log = folder / f"{name}.url", folder / f"{name}.log"
        self._address.unlink(missing_ok=True)
        command = [sys.executable, "-W", "error", "-m", "carbonsink.standins", name, "--dir", str(folder), *options]
        with self._log.open("ab") as log:
            self._child = children.spawn(command, log=log, cwd=ROOT, environment=environment)
        self.url = wait_for(self._read_address, PATIENCE)
        self._http = httpx.Client(trust_env=False, timeout=60, base_url=self.url)

    def _read_address(self) -> str:
        assert not children.has_ended(self._child), self._log.read_text()[-2000:]
        return self._address.read_text() if self._address.exists() else ""

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Asks /control for something; its answer."""
        answer = self._http.request(method, f"/control/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def stop(self) -> None:
        self._http.close()
        children.stop(self._child, ((signal.SIGTERM, 10.0),))


class Stage:
    """One play. `chance` is what the printed seed decides; `facts` go into the report."""

    def __init__(self, *, directory: Path, seed: int, database: Database, redis: Redis, clock: Clock, gate: Gate,
                 bank: Outside, say: Callable[..., None]) -> None:  # fmt: skip
        self.directory, self.chance, self.say = directory, random.Random(seed), say
        self.database, self.redis, self.clock, self.gate, self.bank = database, redis, clock, gate, bank
        self.sold: Counter[int] = Counter()
        self.facts: dict[str, Any] = {}
        self.children: list[Popen[bytes]] = []
        self.tick = threading.Event()  # Never set: what is looked at now and then waits for it.

    # The world.

    def sell(self, households: int = 5) -> list[Household]:
        """Households with an approved account each whose trees are sold, paid for, and settled by the gateway."""
        owners = factories.market(*(self.chance.randint(1, 3) for _ in range(households)))
        for owner in owners:
            factories.account(owner)
            for tree in owner.trees.all():
                self.sold[owner.pk] += factories.paid_order(tree=tree).total_fen
        self.credit(sum(self.sold.values()))
        self.exchange()
        statements.import_statement()
        return owners

    def credit(self, fen: int, name: str = SETTLEMENT_NAME) -> None:
        """Money that comes into the supervised account."""
        terms = {"fen": fen, "counterparty_name": name, "remittance": "结算", "reference": uuid.uuid4().hex}
        self.bank.control("POST", "credits", terms)

    def prepare(self, households: int = 5) -> list[Payout]:
        """Payouts that are approved and not sent."""
        self.sell(households)
        runs.run_payouts()
        return list(Payout.objects.order_by("pk"))

    def environment_of(self, whose: str) -> dict[str, str]:
        """The environment of a child that goes by this side's clock."""
        return os.environ | {"CHAOS_CLOCK": str(self.clock.files[whose]), "CHAOS_CLOCK_OF": whose}

    def point_at_wechat(self, url: str) -> None:
        """Has every process of the platform use the stand-in WeChat Pay, this one too."""
        os.environ["WECHATPAY_BASE_URL"] = settings.WECHATPAY_BASE_URL = url

    def pay_by_files(self) -> Path:
        """Has the platform pay by pain.001 files from now on; returns the folder into which it hands them over. Chance
        says whether the bank debits each transfer by itself, or files as a whole."""
        os.environ["PAYOUT_BANK"] = settings.PAYOUT_BANK = "pain001"
        self.facts["debited"] = self.chance.choice(["by transfer", "as a whole"])
        self.bank.control("POST", "whole-files", {"back": "each" if self.facts["debited"] == "as a whole" else ""})
        return Path(settings.PAIN001_OUT_DIR)

    def exchange(self) -> None:
        """Has the bank's front-end machine take our files and lay down its own, where we pay by files."""
        if settings.PAYOUT_BANK in by_file():
            self.bank.control("POST", "exchange")

    # The platform's own processes.

    def worker(self, concurrency: int = 2, *options: str) -> Popen[bytes]:
        """A Celery worker as production runs it."""
        name = f"{uuid.uuid4().hex[:8]}@localhost"
        return self.program("-m", "celery", "-A", "carbonsink", "worker", f"--hostname={name}", "--queues=celery",
                            f"--concurrency={concurrency}", "--loglevel=INFO", *options)  # fmt: skip

    def beat(self) -> Popen[bytes]:
        """The clock that rings for sweeps and runs."""
        schedule = self.directory / f"beat.{uuid.uuid4().hex[:8]}"
        return self.program("-m", "celery", "-A", "carbonsink", "beat", "--pidfile=", f"--schedule={schedule}")

    def shell(self, code: str) -> Popen[bytes]:
        """A process of the platform that runs some lines."""
        return self.program("manage.py", "shell", "-v", "0", "-c", code)

    def program(self, *command: str) -> Popen[bytes]:
        """A process of the platform; it ends with ours at the latest."""
        with (self.directory / "programs.log").open("ab") as log:
            child = children.spawn([sys.executable, *command], log=log, cwd=ROOT, environment=dict(os.environ))
        self.children.append(child)
        return child

    def kill(self, child: Popen[bytes]) -> None:
        """SIGKILL to the process and all its children at the same moment, as when the machine dies."""
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(PATIENCE)
        self.children.remove(child)

    def ended(self, child: Popen[bytes]) -> None:
        """Waits until it has done its work; it must have gone well."""
        assert child.wait(PATIENCE) == 0, (self.directory / "programs.log").read_text()[-3000:]

    def all_run(self) -> bool:
        """Whether every program that was started here, and not killed, still runs: nobody restarts them. What they
        said, if one does not."""
        ended = [child.args for child in self.children if child.poll() is not None]
        assert ended == [], f"{ended} ended:\n{(self.directory / 'programs.log').read_text()[-3000:]}"
        return True

    # The end.

    def wait_until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Waits for something that must come about."""
        return wait_for(condition, seconds)

    def states(self) -> Counter[str]:
        """How many payouts are in which state. While the database is away, none that anybody knows of."""
        try:
            return Counter(Payout.objects.values_list("state", flat=True))
        except (OperationalError, InterfaceError):
            connection.close()
            return Counter()

    def all_arrived(self) -> bool:
        """Whether the households have all that they sold."""
        try:
            return not self.sold - _arrived()
        except (OperationalError, InterfaceError):
            connection.close()
            return False

    def settle(self, rounds: int = 24) -> None:
        """Goes on as the platform does by itself, with time passing, until nothing is open or owed."""
        self.gate.rule = through
        for _ in range(rounds):
            tasks.sweep()
            runs.run_payouts()
            tasks.sweep()
            self.exchange()
            if self.all_arrived() and not set(self.states()) & {*sending.OPEN, "approved", "prepared"}:
                return
            self.clock.pass_time(LONG_ENOUGH)
        raise AssertionError(f"not settled: {self.states()}")

    def finish_alone(self, rounds: int = 12) -> None:
        """Has the platform's own workers and beat finish; only time is made to pass when they wait for it."""
        for _ in range(rounds):
            with suppress(AssertionError):
                self.wait_until(self.all_arrived, 15)
                break
            self.clock.pass_time(LONG_ENOUGH)
        self.all_run()
        self.close()
        self.settle()

    def agree(self) -> None:
        """Bank and books say the same of every household and every number, and the audit is clean."""
        self.exchange()
        while statements.import_statement():
            pass
        book = self.bank.control("GET", "book")
        received: Counter[str] = Counter()
        credits: Counter[str] = Counter()
        for row in book["movements"]:
            if row["account"] != settings.STANDIN_BANK_ESCROW_ACCOUNT:
                received[row["account"]] += row["fen"] if row["direction"] == "credit" else -row["fen"]
                credits[row["out_no"]] += row["direction"] == "credit"
        twice = [out_no for out_no, times in credits.items() if times != 1]
        assert twice == [], f"paid twice: {twice}"
        numbers = BankAccount.objects.values_list("household", "number").distinct()
        at_bank: Counter[int] = Counter()
        for household, number in numbers:
            at_bank[household] += received.pop(number, 0)
        assert not received, f"paid to strangers: {received}"
        sold = +self.sold
        assert +at_bank == sold, f"bank: {+at_bank}, sold: {sold}"
        assert _arrived() == sold, f"books: {_arrived()}, sold: {sold}"
        theirs = {(row["out_no"], row["fen"], row["status"]) for row in book["transfers"]}
        ours = set(Payout.objects.filter(state__in=["succeeded", "returned"]).values_list("out_no", "fen", "state"))
        assert {one for one in theirs if one[2] != "failed"} == ours
        balance = self.bank.control("GET", "balance")
        assert (balance["balance_fen"], balance["held_fen"]) == (
            ledger.balance(ledger.account(Account.Kind.ESCROW, settings.PAYOUT_BANK)), 0,
        )  # fmt: skip
        assert ledger.balance(ledger.account(Account.Kind.TRANSIT)) == 0
        said = StringIO()
        try:
            call_command("audit", stdout=said, stderr=said)
        except CommandError as error:
            raise AssertionError(said.getvalue()) from error
        self.facts |= {"payouts": sum(self.states().values()), "fen": sum(sold.values())}

    def close(self) -> None:
        """Ends every process that was started here."""
        while self.children:
            children.stop(self.children.pop(), ())


def _arrived() -> Counter[int]:
    """Fen that the ledger says have reached each household and not come back."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT p.household_id, sum(p.fen)::bigint FROM payouts_payout p
                 JOIN ledger_entry e ON e.reference = 'arrived:' || p.out_no
                 LEFT JOIN ledger_entry r ON r.reference = 'reversed:' || p.out_no
                WHERE r.id IS NULL GROUP BY 1"""
        )
        return Counter(dict(cursor.fetchall()))
