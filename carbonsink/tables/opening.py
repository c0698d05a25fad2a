"""What kind of table a file is, told from its first bytes, not from its name."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError

BLOCK = 1 << 20
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = b"PK\x03\x04"

Rows = Iterator[tuple[int, list[str]]]


@dataclass(frozen=True)
class Table:
    """A file as rows of text. `read()` begins anew each time and yields the line number and the cells of each row
    that is not empty; `done()` is the part (0 to 1) that has been read."""

    name: str
    sha256: str
    read: Callable[[], Rows]
    done: Callable[[], float]
    # What it was: "XLSX", or the encoding of a CSV file.
    form: str


def bad_file(sentence: str) -> DomainError:
    """The error for a file that cannot be read as a table."""
    return DomainError("bad_file", sentence)


def open_table(file: BinaryIO, name: str, *, sheet: str = "", encoding: str = "") -> Table:
    """The table in a seekable file. `sheet` names a workbook's sheet (else its first), `encoding` a CSV file's.

    Raises DomainError("bad_file") with a sentence saying what to do: an old, protected, damaged or dangerous workbook,
    text in an unknown encoding. Later rows may still raise it.
    """
    from carbonsink.tables import delimited, workbooks

    file.seek(0)
    head = file.read(8)
    if not head:
        raise bad_file(_("%(name)s is empty.") % {"name": name})
    sha256 = fingerprint(file)
    if head.startswith(ZIP):
        return workbooks.open_workbook(file, name, sha256, sheet)
    if head == OLE:
        raise bad_file(_refusal_of_ole(file, name))
    return delimited.open_delimited(file, name, sha256, encoding)


def fingerprint(file: BinaryIO) -> str:
    """SHA-256 (hex) of the whole file, read in blocks."""
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _refusal_of_ole(file: BinaryIO, name: str) -> str:
    """Excel keeps both its old files and its protected new ones in this container."""
    file.seek(0)
    if "EncryptedPackage".encode("utf-16-le") in file.read(64 * BLOCK):
        return _("%(name)s is protected by a password. Open it, take the password away and save it again.") % {
            "name": name
        }
    return _("%(name)s is an old Excel file (.xls). Open it and save it as .xlsx or as CSV UTF-8.") % {"name": name}
