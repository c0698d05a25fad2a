"""Where the embedded servers keep their data, and as whom they run. Reasons: docs/decisions/0001."""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from carbonsink.embedded import children
from carbonsink.embedded.children import User
from carbonsink.embedded.errors import EmbeddedError

LOCK = "carbonsink.lock"
WHERE = "where"
DATA_FOLDERS = ("postgresql", "redis")
SYSTEM_USERS = ("postgres", "nobody")
AWAY = Path("/var/tmp")  # noqa: S108  survives a reboot; every use checks owner, mode and kind

Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """`directory` holds what is ours (lock, passwords, logs); `home` what the servers write, as `user`.

    `user` is None when we are not root: then the servers run as ourselves and both folders are the same.
    """

    directory: Path
    home: Path
    user: User | None

    def own_folder(self, name: str) -> Path:
        """A folder in the home that only the servers' user can enter, made if it is missing."""
        folder = self.home / name
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if self.user:
                os.chown(folder, self.user.uid, self.user.gid)
        return folder

    def log(self, name: str) -> Path:
        """The log file of a server; its folder exists afterwards."""
        folder = self.directory / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"


def claim(directory: Path) -> TextIO:
    """Take the directory for this process alone, as long as the returned file stays open.

    A folder that holds other things than ours is refused, so that a mistyped path costs nobody their files
    when the directory is emptied later. Raises EmbeddedError for that, and when another process has it.
    """
    if directory.exists() and not directory.is_dir():
        raise EmbeddedError(f"{directory} is no folder: name one that is new or empty.")
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / LOCK).exists() and any(directory.iterdir()):
        raise EmbeddedError(f"{directory} holds other files: name a folder that is new or empty.")
    file = os.fdopen(os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read().strip() or "unknown"
        file.close()
        raise EmbeddedError(
            f"The servers of {directory} are already running (pid {holder}): stop that one first."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def empty(directory: Path) -> None:
    """Remove all that an earlier run left in the claimed directory, and its data elsewhere if any."""
    for entry in directory.iterdir():
        if entry.name == LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if os.geteuid() == 0:
        _remove_away(_away(directory))


def is_claimed(directory: Path) -> bool:
    """Whether a process has the directory at this moment."""
    try:
        with (directory / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def settle(directory: Path, say: Say) -> Place:
    """Choose the home of the data and the user of the servers, for a directory that is claimed."""
    if os.geteuid() != 0:
        _check_owner(directory)
        return Place(directory, directory, None)
    owner = _data_owner(directory)
    if owner:
        return Place(directory, directory, owner)
    user = _system_user()
    away = _away(directory)
    if not away.exists() and not away.is_symlink() and _reaches(user, directory):
        return Place(directory, directory, user)
    return Place(directory, away, _settle_away(directory, away, user, say))


def _check_owner(directory: Path) -> None:
    for name in DATA_FOLDERS:
        folder = directory / name
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            owner = User.of_uid(folder.stat().st_uid).name
            raise EmbeddedError(
                f"{folder} belongs to {owner}: run this as whoever made it, or remove {directory} as root."
            )


def _data_owner(directory: Path) -> User | None:
    for name in DATA_FOLDERS:
        with suppress(FileNotFoundError):
            uid = (directory / name).stat().st_uid
            if uid != 0:
                return User.of_uid(uid)
    return None


def _system_user() -> User:
    for name in SYSTEM_USERS:
        user = User.named(name)
        if user:
            return user
    raise EmbeddedError(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody: "
        "run this as an ordinary user."
    )


def _reaches(user: User, directory: Path) -> bool:
    """Tried for real, by going there as that user, since modes alone do not tell (ACLs, containers)."""
    return children.run(["/bin/sh", "-c", ":"], user=user, cwd=directory).returncode == 0


def _away(directory: Path) -> Path:
    # Never read from a file: a copied checkout would bring along the address of the original's data.
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return AWAY / f"carbonsink-{name}"


def _settle_away(directory: Path, away: Path, user: User, say: Say) -> User:
    where = directory / WHERE
    if not where.exists():
        # Data without its directory: somebody removed that to start afresh, and the passwords went with it.
        _remove_away(away)
    try:
        away.mkdir(mode=0o700)
        os.chown(away, user.uid, user.gid)
    except FileExistsError:
        user = _away_owner(away)
    where.write_text(f"{away}\n")
    say(f"User {user.name} cannot enter {directory}; the servers keep their data in {away} instead.")
    return user


def _away_owner(away: Path) -> User:
    status = away.lstat()
    allowed = {user.uid: user for user in map(User.named, SYSTEM_USERS) if user}
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in allowed or stat.S_IMODE(status.st_mode) & 0o077:
        raise EmbeddedError(
            f"{away} is not a private folder of {' or '.join(user.name for user in allowed.values())}: "
            "it was not made here, so look at it and remove it."
        )
    return allowed[status.st_uid]


def _remove_away(away: Path) -> None:
    if away.exists() or away.is_symlink():
        _away_owner(away)
        shutil.rmtree(away)
