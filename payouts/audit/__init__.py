"""What is always true (design: invariants), by subject, as queries that find what breaks it. None changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass

from payouts.audit import daily, guards, losses, money, orders, payouts, proof, running

# {sentence: query whose rows are the offenders}
CHECKS = {**orders.CHECKS, **money.CHECKS, **proof.CHECKS, **losses.CHECKS, **payouts.CHECKS, **daily.CHECKS}
CHECKS |= guards.CHECKS


@dataclass(frozen=True)
class Finding:
    """Something that should never be: the sentence, and up to ten of those it is true of."""

    sentence: str
    offenders: list[str]


def findings(*, whole: bool = False) -> Iterator[Finding]:
    """All that is wrong; nothing when all is well. `whole`: also what takes long."""
    for outcome in running.check(statements(whole=whole)):
        if outcome.offenders:
            yield Finding(outcome.sentence, outcome.offenders)


def statements(*, whole: bool = False) -> running.Statements:
    """All statements: of what was published, of what moves through states, of the database's guards, and of the rest;
    the longest first, so that none of several connections is left with it at the end. `whole`: also each leaf of each
    published day."""
    published = {**daily.WHOLE, **daily.LOOKS} if whole else daily.LOOKS
    return {**published, **running.of_states(), **running.of_texts(CHECKS), **guards.of_models()}
