"""The tree of the day's lines: every proof fits, every altered one does not."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payouts import merkle

# Of the certificate transparency test vectors (RFC 6962): the roots of the first leaves.
LEAVES = [b"", b"\0", b"\x10", b" !", b"01", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
sizes = st.integers(1, 300)


def grown(texts: list[bytes]) -> list[bytes]:
    return merkle.levels(b"".join(merkle.leaf_hash(text) for text in texts))


def straight(texts: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it, word by word: split at the largest power of two below the size."""
    if not texts:
        return hashlib.sha256().digest()
    if len(texts) == 1:
        return hashlib.sha256(b"\0" + texts[0]).digest()
    half = 1 << (len(texts) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + straight(texts[:half]) + straight(texts[half:])).digest()


@st.composite
def proven(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], dict[int, bytes], list[bytes]]:
    """Texts, their tree, the hashes of some of them, and the proof for these."""
    texts = [f"line {at}".encode() for at in range(draw(sizes))]
    chosen = draw(st.sets(st.integers(0, len(texts) - 1), min_size=1, max_size=12))
    tree = grown(texts)
    return texts, tree, {at: merkle.leaf_hash(texts[at]) for at in chosen}, merkle.prove(tree, chosen)


@pytest.mark.parametrize("size", ROOTS)
def test_the_roots_are_those_of_the_standard(size: int) -> None:
    assert merkle.root(grown(LEAVES[:size])).hex() == ROOTS[size]


def test_every_size_has_the_root_that_the_standard_defines_and_no_two_the_same() -> None:
    texts = [f"line {at}".encode() for at in range(301)]
    roots = [merkle.root(grown(texts[:size])) for size in range(301)]
    assert roots == [straight(texts[:size]) for size in range(301)]
    assert len(set(roots)) == 301


def test_the_last_line_twice_is_another_tree() -> None:
    assert merkle.root(grown([b"a", b"b", b"c"])) != merkle.root(grown([b"a", b"b", b"c", b"c"]))


@settings(deadline=None)
@given(proven())
def test_every_proof_fits(case: tuple[list[bytes], list[bytes], dict[int, bytes], list[bytes]]) -> None:
    texts, tree, leaves, nodes = case
    assert merkle.reckon(leaves, len(texts), nodes) == merkle.root(tree)


def fits(root: bytes, leaves: dict[int, bytes], size: int, nodes: list[bytes]) -> bool:
    try:
        return merkle.reckon(leaves, size, nodes) == root
    except merkle.Misfit:
        return False


@settings(deadline=None)
@given(proven(), st.data())
def test_no_altered_proof_fits(
    case: tuple[list[bytes], list[bytes], dict[int, bytes], list[bytes]], data: st.DataObject
) -> None:
    texts, tree, leaves, nodes = case
    root, size = merkle.root(tree), len(texts)
    at = data.draw(st.sampled_from(sorted(leaves)))
    assert not fits(root, leaves | {at: merkle.leaf_hash(b"forged")}, size, nodes)
    assert not fits(root, leaves, size, [*nodes, b"x" * 32])
    elsewhere = data.draw(st.integers(-3, size + 3).filter(lambda other: other not in leaves))
    moved = {place: one for place, one in leaves.items() if place != at} | {elsewhere: leaves[at]}
    assert not fits(root, moved, size, nodes)
    if nodes:
        which = data.draw(st.integers(0, len(nodes) - 1))
        assert not fits(root, leaves, size, nodes[:which] + nodes[which + 1 :])
        changed = bytes([nodes[which][0] ^ 1]) + nodes[which][1:]
        assert not fits(root, leaves, size, [*nodes[:which], changed, *nodes[which + 1 :]])
        other = data.draw(
            st.integers(0, len(nodes) - 1).filter(lambda one: one != which) if len(nodes) > 1 else st.just(0)
        )
        swapped = list(nodes)
        swapped[which], swapped[other] = nodes[other], nodes[which]
        assert swapped == nodes or not fits(root, leaves, size, swapped)
        # A node never passes for a leaf.
        assert not fits(root, {0: nodes[which]}, size, [])


def test_a_whole_order_shares_its_nodes() -> None:
    """5,000 lines side by side in a day of 20,000 need hardly more nodes than one."""
    tree = merkle.levels(b"".join(merkle.leaf_hash(str(at).encode()) for at in range(20_000)))
    assert len(merkle.prove(tree, range(7_777, 12_777))) < 2 * len(merkle.prove(tree, [7_777]))


def test_what_is_not_there_cannot_be_proven() -> None:
    with pytest.raises(IndexError):
        merkle.prove(grown([b"a"]), [1])
    with pytest.raises(IndexError):
        merkle.prove(grown([]), [0])
    with pytest.raises(merkle.Misfit):
        merkle.reckon({}, 3, [])
