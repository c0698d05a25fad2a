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


def findings() -> Iterator[Finding]:
    """All that is wrong; nothing when all is well."""
    for outcome in running.check(statements()):
        if outcome.offenders:
            yield Finding(outcome.sentence, outcome.offenders)


def statements() -> running.Statements:
    """All statements: of what moves through states, of signatures, and of the rest."""
    signed: running.Statements = {"daily statements whose signature does not fit": daily.unsigned}
    return {**running.of_states(), **running.of_texts(CHECKS), **signed}
