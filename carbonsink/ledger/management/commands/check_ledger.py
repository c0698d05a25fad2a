from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from carbonsink.ledger.checks import BALANCES, CHECKS
from carbonsink.money import yuan


class Command(BaseCommand):
    """Checks the books and prints the balance of each kind of account."""

    help = "Check that the ledger holds together; exits 1 and names what does not."

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = []
        with connection.cursor() as cursor:
            for sentence, query in CHECKS.items():
                cursor.execute(query)
                found = [str(row[0]) for row in cursor.fetchmany(10)]
                if found:
                    wrong.append(f"{sentence}: {', '.join(found)}")
            cursor.execute(BALANCES)
            for kind, fen in cursor.fetchall():
                self.stdout.write(f"{kind:<12}{yuan(int(fen)):>18}")
        if wrong:
            raise CommandError("The ledger does not hold together: " + "; ".join(wrong))
        self.stdout.write("The ledger holds together.")
