"""Keys from PEM files, read once for each file; a link that leads to another file since is another key."""

import functools
import os
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

K = TypeVar("K")


@functools.lru_cache(maxsize=16)
def _private(path: str) -> Any:
    return load_pem_private_key(Path(path).read_bytes(), None)


@functools.lru_cache(maxsize=16)
def _public(path: str) -> Any:
    return load_pem_public_key(Path(path).read_bytes())


def private_key(path: str, kind: type[K]) -> K:
    """The private key of a kind (RSAPrivateKey, Ed25519PrivateKey) in a file. TypeError for a key of another kind."""
    return _of_kind(_private(os.path.realpath(path)), kind, path)


def public_key(path: str, kind: type[K]) -> K:
    """The public key of a kind in a file. TypeError for a key of another kind."""
    return _of_kind(_public(os.path.realpath(path)), kind, path)


def _of_kind(key: Any, kind: type[K], path: str) -> K:
    if not isinstance(key, kind):
        raise TypeError(f"{path} does not hold a key of the kind {kind.__name__}.")
    return key
