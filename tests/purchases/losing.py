"""Trees that leave, and what the sweep then does, as tests of replacements need it."""

import uuid
from datetime import date
from typing import Any

from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.states import move
from purchases import losses, replacements
from purchases.models import Order, Sink
from tests import factories
from trees.models import Inspection, Tree


def leave(tree: Tree, state: str = Tree.State.FELLED) -> None:
    """Has a tree leave, as a confirmed report or a withdrawn consent would."""
    tree.refresh_from_db()
    move(tree, state)


def sweep() -> None:
    """What the sweep does about losses."""
    for pk in losses.orders_with_losses():
        replacements.settle_losses(pk)


def trees_of(order: Order) -> list[Tree]:
    """The trees whose sinks the order has, by number."""
    return list(Tree.objects.filter(sinks__order=order).order_by("number"))


def state_of(order: Order) -> str:
    """The order's state in the table."""
    return Order.objects.get(pk=order.pk).state


def sink_of(tree: Tree) -> Sink:
    """The tree's only sink."""
    return Sink.objects.get(tree=tree)


def inspection(tree: Tree, condition: str = "alive", **changes: Any) -> Inspection:
    """An inspection as an officer's device would send it; the end of a tree is reported and suspends it."""
    ends = condition in ("dead", "felled")
    values: dict[str, Any] = {
        "client_uuid": uuid.uuid4(),
        "body_hash": "x" * 64,
        "tree": tree,
        "state": "reported" if ends else "recorded",
        "condition": condition,
        "cause": "" if condition == "alive" else "storm",
        "inspected_on": timezone.localdate(),
        "inspected_by": tree.registered_by,
        **changes,
    }
    made = Inspection.objects.create(**values)
    tree.refresh_from_db()
    if ends and tree.state == Tree.State.APPROVED:
        move(tree, Tree.State.SUSPENDED, by=values["inspected_by"])
    return made


def first_of_january() -> date:
    """The first day of this year."""
    return timezone.localdate().replace(month=1, day=1)


def reviewer() -> Any:
    """A reviewer of 从江县."""
    return factories.user(roles.REVIEWER)
