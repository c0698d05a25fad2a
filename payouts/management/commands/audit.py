from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from payouts import audit


class Command(BaseCommand):
    """Checks every statement that is always true of sales and money; exits 1 and names what breaks one."""

    help = "Check that every tree is sold once and every fen is accounted for."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("check_ledger", stdout=self.stdout)
        wrong = list(audit.findings())
        for finding in wrong:
            self.stderr.write(f"{finding.sentence}: {', '.join(finding.offenders)}")
        if wrong:
            raise CommandError(f"{len(wrong)} statements do not hold.")
        self.stdout.write(f"All {len(audit.CHECKS)} statements hold, and every state was reached by its table.")
