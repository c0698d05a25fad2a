from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from trees import second_looks
from trees.models import SecondLookDraw


def moment(text: str) -> datetime:
    """A day (its first moment) or a moment; without a zone it is local time."""
    found = parse_datetime(text)
    if found is None and (day := parse_date(text)) is not None:
        found = datetime(day.year, day.month, day.day)
    if found is None:
        raise CommandError(f"{text!r} is neither a day nor a moment: write 2026-11-21 or 2026-11-21T18:00.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)


class Command(BaseCommand):
    """Draws second looks as every night does, or repeats all draws from their seeds and compares."""

    help = "Draw the approvals that get a second look; --verify repeats every draw so far and compares."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--until", help="approvals before this day or moment; default: before the last midnight")
        parser.add_argument("--verify", action="store_true", help="draw nothing; check what was drawn")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verify"]:
            self.verify()
            return
        until = moment(options["until"]) if options["until"] else None
        if until is not None and until > timezone.now():
            raise CommandError("--until lies in the future: what is not approved yet cannot be drawn.")
        draws = second_looks.draw_second_looks(until)
        for draw in draws:
            self.stdout.write(f"{draw.programme}: {draw.drawn} of {draw.approvals} approvals, seed {draw.seed}")
        if not draws:
            self.stdout.write("Nothing was approved since the last draw.")

    def verify(self) -> None:
        wrong = 0
        draws = SecondLookDraw.objects.select_related("programme").order_by("pk")
        for draw in draws:
            for sentence in second_looks.differences(draw):
                self.stderr.write(sentence)
                wrong += 1
        if wrong:
            raise CommandError(f"{wrong} differences between the draws and what their seeds say.")
        self.stdout.write(f"{len(draws)} draws are what their seeds say.")
