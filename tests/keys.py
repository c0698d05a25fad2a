"""Private keys of the tests' own making."""

import functools
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key


def private_key(path: Path | str) -> Any:
    """The key in a file, read once: that takes longer than signing with it."""
    return _read(Path(path).resolve())


@functools.cache
def _read(path: Path) -> Any:
    return load_pem_private_key(path.read_bytes(), None)
