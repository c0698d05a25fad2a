from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rich.progress import track

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import ADMINISTRATOR, REVIEWER
from trees.flags import look_at_households, look_at_trees
from trees.models import Household, Tree

BATCH = 10_000


class Command(BaseCommand):
    """Looks again for what is suspicious, after boundaries, species or rules of the programme have changed."""

    help = "Look again at the trees that wait for a review, and at households; raise flags. Can be run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--area", default="", help="only divisions whose code begins so")
        parser.add_argument("--all", action="store_true", help="also trees that do not wait for a review")
        parser.add_argument(
            "--by", help="e-mail or phone of the reviewer or administrator who settles flags that hold no longer"
        )
        parser.add_argument("--dry-run", action="store_true", help="count and store nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        by = self.person(options["by"]) if options["by"] else None
        households = Household.objects.filter(village__code__startswith=options["area"])
        trees = Tree.objects.filter(household__in=households)
        if not options["all"]:
            trees = trees.filter(state=Tree.State.SUBMITTED)
        # By household, so that a batch meets few villages.
        ids = list(trees.order_by("household", "ordinal").values_list("pk", flat=True))
        raised = settled = 0
        for start in track(range(0, len(ids), BATCH), description="trees", disable=not self.stdout.isatty()):
            with transaction.atomic():
                new, gone = look_at_trees(ids[start : start + BATCH], by=by)
                transaction.set_rollback(options["dry_run"])
            raised, settled = raised + new, settled + gone
        with transaction.atomic():
            raised += look_at_households(households.values_list("pk", flat=True))
            transaction.set_rollback(options["dry_run"])
        verb = "would be" if options["dry_run"] else "were"
        self.stdout.write(f"{len(ids)} trees: {raised} flags {verb} raised, {settled} {verb} settled.")

    @staticmethod
    def person(identifier: str) -> User:
        """Whoever answers for settling flags."""
        found = User.objects.by_identifier(identifier)
        if found is None or not found.is_active or not found.has_role(REVIEWER, ADMINISTRATOR):
            raise CommandError("--by names no reviewer or administrator.")
        return found
