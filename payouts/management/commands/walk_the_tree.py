import os
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from carbonsink.money import yuan
from payouts.demo.client import WalkError
from payouts.demo.walk import Walk


class Command(BaseCommand):
    """Walks one tree's whole way on the running demo, step by step; exits 1 unless every fen arrived."""

    help = "Register, review, sell, pay, certify and disburse one tree on the running demo."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("The demo's way runs on DEPLOYMENT=demo, not in production.")
        console = Console(highlight=False, soft_wrap=True)
        console.print(f"\n[bold]{'step':<44}{'yuan':>9}  {'after':>6}  reference[/bold]")
        begin = time.monotonic()
        try:
            for step in Walk(settings.PUBLIC_BASE_URL, os.environ.get("DEMO_PASSWORD", "")).steps():
                row = step()
                amount = "" if row.fen is None else yuan(row.fen)
                console.print(f"{row.what:<44}{amount:>9}  {time.monotonic() - begin:>5.1f}s  {row.reference}")
        except WalkError as error:
            raise CommandError(str(error)) from error
        call_command("audit")
        console.print("[green]Every fen arrived.[/green]\n")
