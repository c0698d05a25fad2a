"""Which code a play is played on: a play of other code says nothing of this one."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.processes import ROOT

# What the processes of a play are made of: the platform, what breaks it, and what both stand on.
FOLDERS = ("carbonsink", "trees", "purchases", "payouts", "tests/chaos")
FILES = ("manage.py", "requirements-dev.lock", "tests/factories.py", "tests/processes.py", "tests/template.py")
KINDS = {".py", ".sql", ".csv"}


def digest(root: Path = ROOT) -> str:
    """SHA-256 over the names and contents of all that is played, as they lie there now: the same in a clone and in a
    copy without its history."""
    whole = hashlib.sha256()
    for file in _files(root):
        content = file.read_bytes()
        whole.update(f"{file.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    """Found by where they lie, so that there need be no git; in hidden folders others make and remove files meanwhile."""
    named = (root / name for name in FILES)
    inside = (file for folder in FOLDERS for file in (root / folder).rglob("*") if file.suffix in KINDS)
    played = (file for file in inside if not file.name.startswith("test_"))
    yield from sorted(file for file in (*named, *played) if file.is_file())
