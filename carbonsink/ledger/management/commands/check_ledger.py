from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from carbonsink.money import yuan

# What the triggers make impossible, looked for all the same: {sentence: query that finds none}.
CHECKS = {
    "entries that do not sum to 0 or have fewer than 2 lines": """
        SELECT e.reference FROM ledger_entry e LEFT JOIN ledger_line l ON l.entry_id = e.id
        GROUP BY e.id HAVING count(l.id) < 2 OR sum(l.fen) <> 0""",
    "settled lines of accounts that are not a household's": """
        SELECT l.id FROM ledger_settlement s JOIN ledger_line l ON l.id = s.line_id
        JOIN ledger_account a ON a.id = l.account_id WHERE a.kind <> 'household'""",
    "guards that are missing or switched off": """
        SELECT t.wanted FROM (VALUES ('ledger_line_balanced'), ('ledger_entry_has_lines'),
            ('ledger_account_append_only'), ('ledger_account_no_truncate'),
            ('ledger_entry_append_only'), ('ledger_line_append_only'), ('ledger_settlement_append_only'),
            ('ledger_entry_no_truncate'), ('ledger_line_no_truncate'), ('ledger_settlement_no_truncate')) t(wanted)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgname = t.wanted AND g.tgenabled IN ('O', 'A'))""",
}


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
            cursor.execute(
                "SELECT a.kind, sum(l.fen) FROM ledger_line l JOIN ledger_account a ON a.id = l.account_id"
                " GROUP BY a.kind ORDER BY a.kind"
            )
            for kind, fen in cursor.fetchall():
                self.stdout.write(f"{kind:<12}{yuan(int(fen)):>18}")
        if wrong:
            raise CommandError("The ledger does not hold together: " + "; ".join(wrong))
        self.stdout.write("The ledger holds together.")
