"""Files that come by the admin: kept encrypted while somebody looks; large ones are loaded by a task."""

import io
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.crypto import fernet
from carbonsink.errors import DomainError
from carbonsink.tables import Table, open_table
from trees.imports import loading
from trees.imports.columns import Heading, check_complete, find_heading
from trees.imports.kinds import KINDS, kind_of
from trees.models import Import

SAMPLE_ROWS = 20
# Up to here the person waits for the answer; beyond, a task does it.
AT_ONCE_BYTES = 200_000
BUSY_SECONDS = 900  # As long as a task may run, and a little.


@dataclass(frozen=True)
class Preview:
    """The beginning of a file: its heading, and rows as they may be shown."""

    heading: Heading
    rows: list[tuple[int, list[str]]]


def _place(batch: Import) -> str:
    return f"imports/{batch.pk}"


def accept_upload(kind: Import.Kind, content: bytes, name: str, *, by: User) -> Import:
    """Begins an import with this file, or finds the one that this person has begun with it.

    Raises DomainError: not allowed, no table, loaded before, somebody else is at it.
    """
    loading.check_may_import(by)
    table = open_table(io.BytesIO(content), name)
    batch = loading.known_import(kind, table, by=by)
    if batch is not None and batch.state == Import.State.STORED:
        raise DomainError("loaded_before", _("This file was loaded before. Nothing was stored again."), status=409)
    if batch is None:
        heading = find_heading(table, KINDS[kind].columns, {}, by_hand=True)
        batch = loading.new_import(kind, table, by=by, heading=heading)
    if not storages["evidence"].exists(_place(batch)):
        # It holds names and ID numbers as its sender typed them.
        storages["evidence"].save(_place(batch), ContentFile(fernet().encrypt(content)))
    return batch


def _table(batch: Import) -> tuple[Table, int]:
    """The kept file, and its size in bytes."""
    try:
        with storages["evidence"].open(_place(batch)) as file:
            content = fernet().decrypt(file.read())
    except FileNotFoundError as error:
        raise DomainError(
            "no_file", _("The file is not here any more. Cancel this import and upload it again.")
        ) from error
    return open_table(io.BytesIO(content), batch.file_name), len(content)


def preview(batch: Import) -> Preview:
    """The file's columns, as they are mapped so far, and its first rows; long numbers and personal data masked."""
    table, _size = _table(batch)
    columns = kind_of(batch).columns
    heading = find_heading(table, columns, batch.mapping, by_hand=True)
    shown: dict[int, Any] = {heading.places[c.name]: c.shown for c in columns if c.name in heading.places}
    rows = []
    for line, cells in table.read():
        if line > heading.line:
            cells = [cells[n] if n < len(cells) else "" for n in range(len(heading.names))]
            rows.append((line, [shown.get(n, columns[-1].shown)(cell) for n, cell in enumerate(cells)]))
        if len(rows) == SAMPLE_ROWS:
            break
    return Preview(heading, rows)


def map_columns(batch: Import, chosen: dict[str, str]) -> None:
    """Keeps which column of the file is which of ours. DomainError when one that every row needs is not chosen."""
    kind = kind_of(batch)
    table, _size = _table(batch)
    heading = find_heading(table, kind.columns, {column.name: chosen.get(column.name, "") for column in kind.columns})
    check_complete(heading, kind.columns, kind.one_of)
    batch.mapping = heading.mapping
    batch.save(update_fields=["mapping"])


def ask_to_check(batch: Import) -> None:
    """Has the file read and checked: now when it is small, else by a task."""
    _ask(batch, None)


def ask_to_store(batch: Import, *, partial: bool) -> None:
    """Has the checked rows stored: now when the file is small, else by a task."""
    _ask(batch, partial)


def _ask(batch: Import, partial: bool | None) -> None:
    from trees.tasks import load_upload

    _content, size = _table(batch)
    if size <= AT_ONCE_BYTES:
        cache.delete(_place(batch))
        go_on(batch, partial)
        return
    cache.set(_place(batch), {"rows": 0, "part": 0.0, "said": ""}, BUSY_SECONDS)
    load_upload.delay(batch.pk, partial)


def go_on(batch: Import, partial: bool | None) -> None:
    """Reads and checks the file; with `partial` given, also stores its rows. DomainError as of the phases."""
    table, _size = _table(batch)
    kind = kind_of(batch)
    by_hand = {column.name: batch.mapping.get(column.name, "") for column in kind.columns}
    heading = find_heading(table, kind.columns, by_hand)
    if batch.state == Import.State.STAGING:
        loading.stage(batch, table, heading, lambda rows, part: _tell(batch, rows, part))
    loading.check(batch)
    if partial is not None:
        loading.store(batch, partial=partial)
        storages["evidence"].delete(_place(batch))


def load_in_background(batch: Import, partial: bool | None) -> None:
    """`go_on` with nobody waiting: what went wrong is kept for the page that asks."""
    try:
        go_on(batch, partial)
    except DomainError as error:
        cache.set(_place(batch), {"said": error.message}, BUSY_SECONDS)
    else:
        cache.delete(_place(batch))


def _tell(batch: Import, rows: int, part: float) -> None:
    if cache.get(_place(batch)) is not None:
        cache.set(_place(batch), {"rows": rows, "part": part, "said": ""}, BUSY_SECONDS)


def progress(batch: Import) -> dict[str, Any]:
    """What a task that is at it has done so far, {"rows", "part", "said"}; empty when none is."""
    return dict(cache.get(_place(batch)) or {})


def cancel_upload(batch: Import, *, by: User) -> None:
    """Gives the import up and forgets the file."""
    loading.cancel_import(batch, by=by, reason="cancelled in the admin")
    storages["evidence"].delete(_place(batch))
    cache.delete(_place(batch))
