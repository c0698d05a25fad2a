import json
import os
import secrets
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from rich.console import Console
from rich.progress import track

from payouts.demo.world import PEOPLE, PIN, open_world, show_household


class Command(BaseCommand):
    """Opens the demo world and prints its sign-ins as JSON; progress goes to stderr."""

    help = "Make the demo's villages, households, trees and officials, where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.IS_PRODUCTION:
            raise CommandError("The demo world belongs on DEPLOYMENT=demo, not into production.")
        password = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(9)
        console = Console(stderr=True, file=sys.stderr)
        open_world(password, lambda rows: track(list(rows), "Households", console=console))
        people = [{"role": role, "sign-in": email, "password": password} for role, _, email, _ in PEOPLE]
        address = reverse("payouts:household", args=[show_household().page_key])
        people.append({"role": "household 农户", "sign-in": address, "password": f"PIN {PIN}"})
        self.stdout.write(json.dumps(people, ensure_ascii=False))
