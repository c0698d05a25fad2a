from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from carbonsink.errors import DomainError
from carbonsink.money import yuan
from payouts import reconciliation
from payouts.models import Discrepancy
from payouts.reconciliation.found import Found, Sums
from payouts.reconciliation.words import SIDES, titles


class Command(BaseCommand):
    """Compares days three ways; exits 1 when something is unexplained or a day could not be compared."""

    help = "Compare the ledger, the payment services' bills and the bank's statement, day by day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        yesterday = timezone.localdate() - timedelta(days=1)
        parser.add_argument("--date", type=date.fromisoformat, default=yesterday, help="YYYY-MM-DD; yesterday if none")
        parser.add_argument("--from", type=date.fromisoformat, dest="first", help="the first of several days")
        parser.add_argument("--dry-run", action="store_true", help="book and keep nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        last = options["date"]
        first = options["first"] or last
        if first > last:
            raise CommandError("--from lies after --date.")
        bad = [
            day
            for back in range((last - first).days, -1, -1)
            if not self._one(day := last - timedelta(days=back), dry_run=options["dry_run"])
        ]
        if bad:
            raise CommandError(f"Unexplained or not compared: {', '.join(map(str, bad))}.")

    def _one(self, day: date, *, dry_run: bool) -> bool:
        """Compares one day and prints it; whether nothing of it is unexplained."""
        try:
            if dry_run:
                look = reconciliation.look_at(day)
                return self._print(day, look.sums, look.found)
            made = reconciliation.reconcile(day)
        except DomainError as error:
            self.stderr.write(f"{day}: {error}")
            return False
        if made is None:
            self.stderr.write(f"{day}: somebody else is comparing.")
            return False
        return self._print(day, made.sums, made.discrepancies.filter(state="open").order_by("pk"))

    def _print(self, day: date, sums: Sums, found: Iterable[Found | Discrepancy]) -> bool:
        """Prints a day; whether nothing of it is unexplained."""
        lines = [_line(one) for one in found]
        for one in reconciliation.open_differences(day):
            lines.append(f"! {one.get_kind_display()}: {one.bill.gateway} {one.reference}")
        explained = not any(line.startswith("!") for line in lines)
        verdict = "unexplained" if not explained else "waits for what is known" if lines else "all agrees"
        table = Table("yuan", title=f"{day}: {verdict}", title_justify="left")
        for _side, title in SIDES:
            table.add_column(str(title), justify="right")
        for name, title in titles():
            if name in sums:
                amounts = [sums[name].get(side) for side, _title in SIDES]
                table.add_row(str(title), *("" if fen is None else yuan(fen) for fen in amounts))
        console = Console(file=self.stdout, width=120)  # type: ignore[arg-type]
        console.print(table)
        for line in lines:
            console.print(line, highlight=False, markup=False)
        return explained


def _line(one: Found | Discrepancy) -> str:
    """A difference, with a mark when it is unexplained."""
    ours, theirs = ("-" if fen is None else yuan(fen) for fen in (one.ours_fen, one.theirs_fen))
    age, kind = max(0, (timezone.now() - one.since).days), Discrepancy.Kind(one.kind).label
    return f"{'!' if one.unexplained else '-'} {kind}: {one.reference}, ours {ours}, theirs {theirs}, {age} days"
