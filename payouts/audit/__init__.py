"""What is always true (design: invariants), by subject, as queries that find what breaks it. None changes anything."""

"""What is always true (design: invariants), as queries that find what breaks it, by subject. None of them changes
anything."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import connection

from carbonsink.states import Stateful
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
    for sentence, query in CHECKS.items():
        offenders = _rows(query)
        if offenders:
            yield Finding(sentence, offenders)
    if offenders := daily.unsigned():
        yield Finding("daily statements whose signature does not fit", offenders)
    for model in apps.get_models():
        if issubclass(model, Stateful):
            offenders = _illegal_moves(model)
            if offenders:
                yield Finding(f"states of {model._meta.label_lower} changed outside its table", offenders)
    for outcome in running.check(statements()):
        if outcome.offenders:
            yield Finding(outcome.sentence, outcome.offenders)


def statements() -> running.Statements:
    """All statements: of what moves through states, and of the rest."""
    return {**running.of_states(), **running.of_texts(CHECKS)}
