"""The way of a file: begun, read into staging, checked, stored. Each phase is one transaction that begins by locking
the import's row, so a killed process leaves whole phases behind, and the same command goes on from there."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import ADMINISTRATOR, OFFICER
from carbonsink.errors import DomainError
from carbonsink.states import move
from carbonsink.tables import Table
from trees.imports import staging
from trees.imports.columns import Heading, check_complete, find_heading
from trees.imports.kinds import KINDS, kind_of
from trees.imports.rules import note_cells
from trees.imports.staging import Tell
from trees.models import Import

# Sorting millions of rows by household; and a server that notices within seconds that its client was killed, so that
# its locks do not outlive it.
PHASE_SETTINGS = "SET LOCAL work_mem = '128MB'; SET LOCAL client_connection_check_interval = '1s'"


def tell_nobody(rows: int, part: float) -> None:
    """Progress that nobody watches."""


def check_may_import(user: User) -> None:
    """Officers load files of their own area, administrators any. Raises DomainError for everybody else."""
    if not user.has_role(ADMINISTRATOR) and not (user.has_role(OFFICER) and user.area):
        raise DomainError("not_allowed", _("Only officers and administrators load files."), status=403)


def begin_import(kind: Import.Kind, table: Table, *, by: User, given: dict[str, str]) -> tuple[Import, Heading]:
    """The import of this file, begun now or found where an earlier run left it, and where its columns are.

    `given` maps columns by hand. Raises DomainError: not allowed, columns missing or unclear, somebody else is loading
    the same file. A stored file comes back as it is: it is loaded once.
    """
    check_may_import(by)
    heading = find_heading(table, KINDS[kind].columns, given)
    known = known_import(kind, table, by=by)
    if known is not None and known.state == Import.State.STORED:
        return known, heading
    check_complete(heading, KINDS[kind].columns, KINDS[kind].one_of)
    if known is not None and known.state != Import.State.STAGING:
        if known.mapping == heading.mapping and staging.is_whole(known):
            return known, heading
        cancel_import(known, by=by, reason="read again")
        known = None
    if known is None:
        known = new_import(kind, table, by=by, heading=heading)
    elif known.mapping != heading.mapping:
        known.mapping = heading.mapping
        known.save(update_fields=["mapping"])
    return known, heading


def known_import(kind: Import.Kind, table: Table, *, by: User) -> Import | None:
    """The import of this file that is under way or stored. DomainError when somebody else has it under way."""
    known = Import.objects.filter(kind=kind, sha256=table.sha256).exclude(state=Import.State.CANCELLED).first()
    if known is not None and known.state != Import.State.STORED and known.imported_by_id != by.pk:
        raise import_of_another(known)
    return known


def import_of_another(batch: Import) -> DomainError:
    """The error that says who has begun an import."""
    return DomainError(
        "import_of_another",
        _("%(name)s is loading this file. Ask them to finish or to cancel it.") % {"name": batch.imported_by.name},
        status=409,
    )


def new_import(kind: Import.Kind, table: Table, *, by: User, heading: Heading) -> Import:
    """An import that nothing was read for yet; two processes that begin the same file at once get the same one."""
    return Import.objects.exclude(state=Import.State.CANCELLED).get_or_create(
        kind=kind,
        sha256=table.sha256,
        defaults={"file_name": table.name[:200], "mapping": heading.mapping, "imported_by": by},
    )[0]


@contextmanager
def _phase(batch: Import) -> Iterator[CursorWrapper]:
    """A transaction with the import's row locked and its state as it is now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PHASE_SETTINGS)
        Import.objects.select_for_update(no_key=True).get(pk=batch.pk)
        batch.refresh_from_db()
        yield cursor


def stage(batch: Import, table: Table, heading: Heading, tell: Tell = tell_nobody) -> None:
    """Reads the file into staging, unless that is done. Raises DomainError when the file breaks in the middle."""
    with _phase(batch) as cursor:
        if batch.state != Import.State.STAGING:
            return
        rows = staging.fill(batch, table, heading, cursor, tell)
        move(batch, Import.State.STAGED, by=batch.imported_by, reason=batch.file_name, rows_read=rows)


def check(batch: Import) -> None:
    """Notes what is wrong with which row. What was noted before is noted anew: the registry may have changed."""
    with _phase(batch) as cursor:
        if batch.state not in (Import.State.STAGED, Import.State.CHECKED):
            return
        batch.problems.all().delete()
        note_cells(batch, cursor)
        kind_of(batch).check(batch, cursor)
        wrong = batch.problems.values("line").distinct().count()
        cursor.execute("ANALYZE trees_importproblem")
        if batch.state == Import.State.STAGED:
            move(batch, Import.State.CHECKED, by=batch.imported_by, rows_wrong=wrong)
        else:
            batch.rows_wrong = wrong
            batch.save(update_fields=["rows_wrong"])


def store(batch: Import, *, partial: bool) -> None:
    """Stores the checked rows. With problems it stores none, or with `partial` the good ones.

    Raises DomainError when rows were refused (and `partial` is not set), or when the registry has changed since the
    check; nothing is stored then.
    """
    changed = DomainError(
        "changed_meanwhile",
        _("The registry has changed since the file was checked, and nothing was stored. Start the same import again."),
        status=409,
    )
    try:
        with _phase(batch) as cursor:
            if batch.state == Import.State.STORED:
                return
            if batch.rows_wrong and not partial:
                raise DomainError(
                    "rows_refused",
                    _("%(wrong)s of %(rows)s rows are refused; nothing was stored.")
                    % {"wrong": batch.rows_wrong, "rows": batch.rows_read},
                )
            # After the lock, so that it is this state that is moved on.
            stored = kind_of(batch).store(batch, cursor)
            if stored != batch.rows_read - batch.rows_wrong:
                raise changed
            move(batch, Import.State.STORED, by=batch.imported_by, rows_stored=stored)
            staging.drop(batch, cursor)
    except IntegrityError as error:
        raise changed from error


def cancel_import(batch: Import, *, by: User, reason: str = "") -> None:
    """Gives an import up that is not stored; its staged rows and its problems go. The file may come again."""
    with _phase(batch) as cursor:
        move(batch, Import.State.CANCELLED, by=by, reason=reason)
        batch.problems.all().delete()
        staging.drop(batch, cursor)
