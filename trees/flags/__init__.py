"""Flags: what makes a tree or a household worth a second glance, raised with the evidence. A flag blocks nothing.

`look_at_trees` and `look_at_households` find what is suspicious; each threshold and its reason stand in
docs/decisions/0009-what-is-suspicious.md. What is said of a tree is settled by the review that decided in sight of it,
what is said of a household by a person with a note.
"""

from trees.flags.looking import Looked, look_at_trees
from trees.flags.raising import raise_flag
from trees.flags.sentences import explain
from trees.flags.settling import open_flags, settle, settle_claim, settle_household
from trees.flags.sharing import look_at_households, raise_reused_id, raise_shared

__all__ = [
    "Looked",
    "explain",
    "look_at_households",
    "look_at_trees",
    "open_flags",
    "raise_flag",
    "raise_reused_id",
    "raise_shared",
    "settle",
    "settle_claim",
    "settle_household",
]
