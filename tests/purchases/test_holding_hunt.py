"""Holders at work on their certificates while trees die, orders come and go, and payouts run: nothing stands still,
nothing is lost."""

import random
from typing import Any

import pytest

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from purchases import holding, losses, orders
from purchases.models import Buyer, Certificate, Retirement, Sink
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.purchases.losing import sweep
from tests.purchases.test_replacement_races import Gravedigger

pytestmark = pytest.mark.django_db(transaction=True)


class Holder(Gravedigger):
    """A gravedigger who also retires, hands on and divides certificates, whoever's they are."""

    def __init__(self, seed: str, reviewer: Any) -> None:
        super().__init__(seed, reviewer)
        self.deeds += [self.capture, self.retire, self.hand_on, self.hand_on, self.split]

    def a_certificate(self) -> Certificate:
        found = list(Certificate.objects.filter(state__in=["valid", "retired"]).order_by("pk"))
        if not found:
            raise DomainError("wrong_state", "there is none")
        return self.chance.choice(found)

    def as_holder(self, deed: Any) -> None:
        try:
            deed()
        except DomainError as error:
            assert error.code in {"not_yours_any_more", "not_its_tree", "wrong_state"}, error

    def retire(self) -> None:
        one = self.a_certificate()
        trees = self.chance.randint(1, one.trees)
        self.as_holder(lambda: holding.retire(one, beneficiary="王五", purpose="test", trees=trees))

    def hand_on(self) -> None:
        one, to = self.a_certificate(), Buyer.objects.create(contact="friend@example.org")
        trees = self.chance.randint(1, one.trees)
        self.as_holder(lambda: holding.hand_on(one, to=to, holder="李四", trees=trees, reason="gift"))

    def split(self) -> None:
        self.as_holder(lambda: holding.split_tree(self.a_certificate(), self.a_tree()))


def test_hunting_deadlocks_among_holders(settings: Any) -> None:
    settings.HOLD_MINUTES = 0  # Each order is over at once: a capture and the sweeper may meet at any moment.
    seed = str(random.randrange(10**6))
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the hunt finds something.
    owners = factories.market(8, 7) + factories.market(6, village=factories.OTHER_VILLAGE)
    for owner in owners:
        factories.account(owner)
    money.settle(10**6)
    reviewer = factories.user(roles.REVIEWER)
    holders = [Holder(f"{seed}-{number}", reviewer) for number in range(8)]
    assert at_once(*[lambda one=one: one.work(40) for one in holders]) == [None] * 8, f"seed {seed}"

    for pk in orders.over():
        orders.release(pk)
    while losses.orders_with_losses():
        sweep()
    books.all_is_well()
    current = Certificate.objects.filter(state__in=["valid", "retired"])
    assert sum(current.values_list("trees", flat=True)) == Sink.objects.filter(certificate__isnull=False).count()
    assert set(Retirement.objects.values_list("certificate__state", flat=True)) <= {"retired", "replaced", "revoked"}
