"""A bank whose front-end machine 前置机 exchanges files in folders: ours go out by one rename, its own are taken one by
one and laid aside under `read` or `failed`.

What is to go out lies first, whole and on the disk, under a hidden name. Its rename is the handing over: as long as the
hidden file is there it has not happened, and once it is gone it has, whoever took the file away since.
"""

import hashlib
import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from payouts.banks.base import BankError, Instruction, Movement, Page, ReportFile, TransferReport

MOST_BYTES = 32_000_000
# A file that cannot be read may still be on its way: it is left alone until nobody has written to it for so long.
SETTLED_AFTER_SECONDS = 60
_UNFINISHED = {".part", ".tmp", ".temp", ".filepart", ".crdownload"}


class OtherContent(Exception):
    """A file of this name is there, and it is not ours."""


class FolderBank:
    """What banks that take files have in common."""

    code: str
    at_once: int
    least_fen = 1
    request_lives: timedelta | None = None

    def __init__(self, out_dir: str, in_dir: str, at_once: int) -> None:
        self.out_dir, self.in_dir, self.at_once = out_dir, in_dir, at_once

    def submit(self, instruction: Instruction) -> list[TransferReport]:
        raise BankError("unknown", "BY_FILE", "this bank takes files")

    def query(self, out_no: str) -> TransferReport | None:
        raise BankError("unknown", "BY_FILE", "this bank answers with files")

    def day(self, day: date) -> list[Movement] | None:
        return None

    def read(self, name: str, content: bytes) -> Page:
        raise NotImplementedError

    def statement(self, after: str) -> Page:
        """What stands in the next file. The file that `after` names is booked, and laid aside first."""
        if not self.in_dir:
            return Page((), after)
        folder = Path(self.in_dir)
        try:
            _lay_aside(folder, after)
            for path in _waiting(folder):
                page = self._read(path)
                if page.file and page.file.trouble and time.time() - path.stat().st_mtime < SETTLED_AFTER_SECONDS:
                    continue
                word = "failed" if page.file and page.file.trouble else "read"
                return replace(page, after=f"{word}/{_sha256(path)}")
        except OSError as error:
            raise BankError("unknown", "NO_FOLDER", error.strerror or "") from error
        return Page((), after)

    def _read(self, path: Path) -> Page:
        name, content = os.fsencode(path.name).decode(errors="replace")[:120], _content(path)
        try:
            if len(content) > MOST_BYTES:
                raise DomainError("bad_file", _("%(name)s is too large.") % {"name": name})
            return self.read(name, content)
        except DomainError as error:
            trouble = " ".join([error.message, *error.details.get("problems", [])[:2]])
            return Page((), "", file=ReportFile(name, content[:MOST_BYTES], trouble=trouble))


def _waiting(folder: Path) -> list[Path]:
    """The files from the bank, oldest first; not those it is still writing."""
    found = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
    whole = [path for path in found if not path.name.startswith(".") and path.suffix.lower() not in _UNFINISHED]
    return sorted(whole, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _sha256(path: Path) -> str:
    return hashlib.sha256(_content(path)).hexdigest()


def _lay_aside(folder: Path, after: str) -> None:
    """Moves the file that was booked out of the way. Another one of its name, or one that has grown since, stays."""
    word, _slash, sha256 = after.partition("/")
    if word not in ("read", "failed"):
        return
    for path in _waiting(folder):
        if _sha256(path) == sha256:
            aside = folder / word
            aside.mkdir(exist_ok=True)
            taken = (aside / path.name).exists()
            path.rename(aside / (f"{sha256[:8]}-{time.time_ns()}-{path.name}"[:200] if taken else path.name))
            return


def stage(folder: str, name: str, content: bytes) -> bool:
    """Lays a file ready under its hidden name, on the disk for good; False when it is handed over already.

    Raises OtherContent when the name is taken by another file, OSError when it cannot be written; nothing is left then.
    """
    path, hidden = Path(folder) / name, _hidden(folder, name)
    if path.exists():
        if path.read_bytes() != content:
            raise OtherContent(name)
        hidden.unlink(missing_ok=True)
        return False
    try:
        with hidden.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
    _sync(folder)
    return True


def release(folder: str, name: str) -> None:
    """Hands a staged file over; one that is handed over already stays so. Raises OtherContent, OSError."""
    path, hidden = Path(folder) / name, _hidden(folder, name)
    if not hidden.exists():
        return
    if path.exists():
        if path.read_bytes() != hidden.read_bytes():
            raise OtherContent(name)
        hidden.unlink()
        return
    hidden.rename(path)
    _sync(folder)


def staged(folder: str) -> list[str]:
    """The names of the files that lie ready and are not handed over."""
    return [path.name.removeprefix(".").removesuffix(".part") for path in Path(folder).glob(".*.part")]


def _hidden(folder: str, name: str) -> Path:
    return Path(folder) / f".{name}.part"


def _sync(folder: str) -> None:
    """Has the disk know the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
