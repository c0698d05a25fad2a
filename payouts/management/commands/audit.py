from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection
from rich.console import Console
from rich.progress import track

from carbonsink.ledger import checks
from carbonsink.money import yuan
from payouts import audit
from payouts.audit import running


class Command(BaseCommand):
    """Checks every statement that is always true of sales and money.

    Exits 1 and names what breaks one; exits 2 when not all could be checked.
    """

    help = "Check that every tree is sold once and every fen is accounted for. --verbosity 2 shows how long each took."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--jobs", type=int, default=1, help="how many statements at once (2 on two cores)")
        parser.add_argument("--only", default="", help="only the statements with these words in them")
        parser.add_argument("--whole", action="store_true", help="make each leaf of each published day anew, too")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {**running.of_texts(checks.CHECKS), **audit.statements(whole=options["whole"])}
        wanted = {sentence: wanted[sentence] for sentence in wanted if options["only"] in sentence}
        if not wanted:
            raise CommandError(f"No statement has the words “{options['only']}” in it.")
        try:
            if not options["only"]:
                self.show_balances()
            checked = self.check_all(wanted, options["jobs"])
        except Error as error:
            raise CommandError(f"The audit was broken off, nothing is known: {error}", returncode=2) from error
        if options["verbosity"] > 1:
            for outcome in sorted(checked, key=lambda outcome: -outcome.seconds):
                self.stdout.write(f"{outcome.seconds:8.2f} s  {outcome.sentence}")
        wrong = [outcome for outcome in checked if outcome.offenders]
        for outcome in wrong:
            self.stderr.write(f"{outcome.sentence}: {', '.join(outcome.offenders)}")
        if wrong:
            raise CommandError(f"{len(wrong)} statements do not hold.")
        if options["only"]:
            self.stdout.write("These statements hold: " + "; ".join(wanted))
        else:
            self.stdout.write(
                f"All {len(audit.CHECKS)} statements hold, every state was reached by its table, and the ledger holds"
                " together."
            )

    def show_balances(self) -> None:
        """Fen by kind of account."""
        with connection.cursor() as cursor:
            cursor.execute(checks.BALANCES)
            for kind, fen in cursor.fetchall():
                self.stdout.write(f"{kind:<12}{yuan(int(fen)):>18}")

    def check_all(self, wanted: running.Statements, jobs: int) -> list[running.Outcome]:
        """The outcomes of all statements, with a bar where somebody is looking."""
        outcomes = track(
            running.check(wanted, jobs),
            description="audit",
            total=len(wanted),
            console=Console(stderr=True),
            transient=True,
            disable=not self.stdout.isatty(),
        )
        return list(outcomes)
