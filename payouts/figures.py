"""The figures of a daily statement, in fen, from the ledger's lines; and the two equations that hold between them.

Whose it is: what came in, and what the sponsor bears, has arrived, is on its way, waits with us for households, went
back to buyers, is owed back to them, or waits to be explained. Where it lies: what came in and what the sponsor paid
in, less fees and what left, lies with the gateways or in the supervised account. What comes and goes is counted by the
kind of its entries, what there is by the balance of its accounts: so the equations say something.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from carbonsink.ledger.models import Account

Kind = Account.Kind

# Entries by which money comes from outside: of an online payment, or a transfer with its way through suspense.
EXPLAINED = "explained"
CAME_IN = {"capture", "stray", "stray-used", "transfer", "transfer-used", "suspense", EXPLAINED}
# Entries by which money goes back to who had paid it.
WENT_BACK = {"refund", "wentback", "transfer-sent", "stray-sent"}
# Rows of the supervised account's statement that only move money: from a gateway, from the sponsor.
SPONSOR_PAYS_IN = "sponsor"
MOVES_ONLY = {"settlement", SPONSOR_PAYS_IN, "fee"}
# The sponsor's, in the place of somebody who paid: for a tree that stands in, for a price that the household keeps.
# `opening` is what an earlier system owed.
BORNE = {"replacement", "giveback", "opening"}
# What only says to whom it belongs.
CHANGES_HANDS = {"sendback", "transfer-back", "payout"}
KNOWN = CAME_IN | WENT_BACK | MOVES_ONLY | BORNE | CHANGES_HANDS | {"arrived", "reversed"}

Row = tuple[str, str, str, int]
Figures = dict[str, Any]


class NotBalanced(Exception):
    """The figures are not what they must be; says why. Nothing is published."""


def figures(rows: Iterable[Row]) -> Figures:
    """The figures of some ledger lines, given as sums by kind of entry, kind of account and name of the account.

    Raises NotBalanced for an entry of a kind that is not known here: somebody must say what it means.
    """
    came: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for entry, account, name, fen in rows:
        if entry not in KNOWN:
            raise NotBalanced(f"entries of the kind {entry} have no place in the statement yet")
        found.update(_balance(account, fen))
        outside = account in (Kind.GATEWAY, Kind.ESCROW, Kind.SPONSOR)
        if outside and entry in CAME_IN:
            # What lay in suspense and is the sponsor's, or known as a transfer, did not come in by itself.
            came[name if account == Kind.GATEWAY and entry != EXPLAINED else "bank"] += fen
        if account == Kind.ESCROW and entry == "arrived":
            found["arrived"] -= fen
        if account == Kind.ESCROW and entry == "reversed":
            found["returned"] += fen
        if outside and entry in WENT_BACK:
            found["refunded"] -= fen
        if account == Kind.SPONSOR:
            found[_sponsors(entry)] += fen if entry in BORNE else -fen
    return {"in": {name: fen for name, fen in sorted(came.items()) if fen}} | {name: found[name] for name in NAMES}


NAMES = (
    "arrived",
    "returned",
    "on_the_way",
    "waiting",
    "refunded",
    "owed_back",
    "to_explain",
    "borne_by_sponsor",
    "paid_in_by_sponsor",
    "advanced_by_sponsor",
    "fees",
    "at_gateways",
    "in_supervised_account",
)


def _balance(account: str, fen: int) -> dict[str, int]:
    """What a line adds to the balance it belongs to; debts are shown as positive."""
    return {
        Kind.GATEWAY: {"at_gateways": fen},
        Kind.ESCROW: {"in_supervised_account": fen},
        Kind.TRANSIT: {"on_the_way": -fen},
        Kind.HOUSEHOLD: {"waiting": -fen},
        Kind.REFUNDS: {"owed_back": -fen},
        Kind.SUSPENSE: {"to_explain": -fen},
        Kind.FEES: {"fees": fen},
    }.get(Kind(account), {})


def _sponsors(entry: str) -> str:
    if entry in WENT_BACK:
        return "advanced_by_sponsor"
    return "borne_by_sponsor" if entry in BORNE else "paid_in_by_sponsor"


def check(one: Mapping[str, Any]) -> None:
    """Raises NotBalanced unless both equations hold, to the fen."""
    came = sum(one["in"].values())
    whose = one["arrived"] - one["returned"] + one["on_the_way"] + one["waiting"]
    whose += one["refunded"] + one["owed_back"] + one["to_explain"]
    if came + one["borne_by_sponsor"] != whose:
        raise NotBalanced(
            f"{came} came in and {one['borne_by_sponsor']} is the sponsor's, but {whose} is accounted for"
        )
    put_in = came + one["paid_in_by_sponsor"] + one["advanced_by_sponsor"]
    left = one["arrived"] - one["returned"] + one["refunded"] + one["fees"]
    lies = one["at_gateways"] + one["in_supervised_account"]
    if put_in - left != lies:
        raise NotBalanced(f"{put_in} was paid in and {left} has left, but {lies} lies in the accounts")


def added(before: Mapping[str, Any], more: Mapping[str, Any]) -> Figures:
    """The sum of two sets of figures."""
    came = {name: before["in"].get(name, 0) + more["in"].get(name, 0) for name in before["in"] | more["in"]}
    sums = {name: before[name] + more[name] for name in NAMES}
    return {"in": {name: fen for name, fen in sorted(came.items()) if fen}} | sums


NOTHING: Figures = {"in": {}} | dict.fromkeys(NAMES, 0)
