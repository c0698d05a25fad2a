"""Merkle trees as RFC 6962 hashes them: 0x00 before a leaf, 0x01 before two nodes, an odd node moves up as it is.

So no leaf can pass for a node, and no list of leaves has the root of another one. A tree is its levels from the leaves
to the root, each the hashes of its nodes in a row, 32 bytes each.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256

SIZE = sha256().digest_size
# The root of no leaves at all.
EMPTY = sha256().digest()


class Misfit(Exception):
    """The proof is not one of these leaves in a tree of this size; says why."""


def leaf_hash(text: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + text).digest()


def node_hash(left_and_right: bytes) -> bytes:
    """The hash of the node above two nodes, whose hashes are given in a row."""
    return sha256(b"\1" + left_and_right).digest()


def levels(leaves: bytes) -> list[bytes]:
    """The tree over leaf hashes in a row, the leaves first and the root last; no levels for no leaves."""
    found = [leaves] if leaves else []
    while found and len(found[-1]) > SIZE:
        below = found[-1]
        pairs = len(below) // (2 * SIZE) * 2 * SIZE
        # As node_hash, written out: of a year's trees the audit makes millions.
        nodes = [sha256(b"\1" + below[at : at + 2 * SIZE]).digest() for at in range(0, pairs, 2 * SIZE)]
        found.append(b"".join(nodes) + below[pairs:])
    return found


def root(tree: list[bytes]) -> bytes:
    """The root of a tree."""
    return tree[-1] if tree else EMPTY


def prove(tree: list[bytes], indexes: Iterable[int]) -> list[bytes]:
    """What must be known beside these leaves to reckon the root: nodes from left to right, level by level from below.

    Leaves side by side share almost all of it. IndexError for a leaf that is not there.
    """
    here, nodes = set(indexes), []
    if here and not (tree and min(here) >= 0 and max(here) < len(tree[0]) // SIZE):
        raise IndexError("there is no such leaf")
    for level in tree[:-1]:
        beside = sorted({at ^ 1 for at in here} - here)
        nodes += [level[at * SIZE : (at + 1) * SIZE] for at in beside if at * SIZE < len(level)]
        here = {at >> 1 for at in here}
    return nodes


def reckon(leaves: Mapping[int, bytes], size: int, nodes: Iterable[bytes]) -> bytes:
    """The root of a tree of `size` leaves, from the hashes of some of them and what `prove` gave for these. Raises
    Misfit when there are more or fewer nodes than needed, or none of the leaves."""
    if not leaves or min(leaves) < 0 or max(leaves) >= size:
        raise Misfit("there is no such leaf")
    known, rest = dict(leaves), iter(nodes)
    while size > 1:
        for beside in sorted({at ^ 1 for at in known} - known.keys()):
            if beside < size:
                known[beside] = next(rest, b"")
        if any(len(node) != SIZE for node in known.values()):
            raise Misfit("nodes are missing")
        above = {}
        for at in {at >> 1 for at in known}:
            left, right = known[2 * at], known.get(2 * at + 1)
            above[at] = left if right is None else node_hash(left + right)
        known, size = above, (size + 1) // 2
    if next(rest, None) is not None:
        raise Misfit("there are nodes too many")
    return known[0]
