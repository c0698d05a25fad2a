"""Files of households and trees that were loaded in bulk."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from carbonsink.states import Stateful


class Import(Stateful):
    """One file, from its staging to its rows in the registry. Its rows carry its number, so that whoever imported
    them is known wherever a second person is asked for."""

    class Kind(models.TextChoices):
        HOUSEHOLDS = "households", _("households")
        TREES = "trees", _("trees")

    class State(models.TextChoices):
        STAGING = "staging", _("being read")
        STAGED = "staged", _("read")
        CHECKED = "checked", _("checked")
        STORED = "stored", _("stored")
        CANCELLED = "cancelled", _("cancelled")

    MOVES = {
        "staging": {"staged", "cancelled"},
        "staged": {"checked", "cancelled"},
        "checked": {"stored", "cancelled"},
    }

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.STAGING)
    file_name = models.CharField(_("file"), max_length=200)
    sha256 = models.CharField(max_length=64)
    mapping = models.JSONField(_("columns"), default=dict)
    rows_read = models.PositiveIntegerField(_("rows read"), default=0)
    rows_wrong = models.PositiveIntegerField(_("rows refused"), default=0)
    rows_stored = models.PositiveIntegerField(_("rows stored"), default=0)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    begun_at = models.DateTimeField(_("begun at"), auto_now_add=True)
    # How far its rows were looked at for flags: the primary key of the last one, and when all were.
    looked_to = models.BigIntegerField(default=0, editable=False)
    looked_at = models.DateTimeField(_("looked at for flags"), null=True, editable=False)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            # The same file is loaded once; a cancelled one may come again.
            models.UniqueConstraint(
                fields=["kind", "sha256"], condition=~models.Q(state="cancelled"), name="trees_import_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.pk})"


class ImportProblem(models.Model):
    """Why a row of a file is refused; `value` is shown to others, so personal data is masked in it."""

    batch = models.ForeignKey(Import, models.CASCADE, related_name="problems")
    line = models.PositiveIntegerField(_("line"))
    column = models.CharField(_("column"), max_length=20)
    value = models.CharField(_("value"), max_length=80, blank=True)
    code = models.CharField(max_length=30)
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("problem of an import")
        verbose_name_plural = _("problems of imports")
        constraints = [
            models.UniqueConstraint(fields=["batch", "line", "column", "code"], name="trees_importproblem_once")
        ]
