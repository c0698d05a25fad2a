"""What households share and should not: found as a household registers or enters an account, under every key."""

import functools
import uuid
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts.accounts import households_sharing, reject_account
from payouts.demo.people import villager
from payouts.models import BankAccount
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import household_body, post, stored
from trees.flags import explain, look_at_households, open_flags, settle_household
from trees.models import Flag, Household

PHONE = "13912345678"
CARD = villager(1).card


def pairs(kind: str) -> set[tuple[int, int | None, str]]:
    """Which households are flagged, compared with which, and with what evidence."""
    found = Flag.objects.filter(kind=kind, tree__isnull=True)
    return {(flag.household_id, flag.other_household_id, str(flag.evidence)) for flag in found}


def registered(client: Client, **changes: Any) -> Household:
    answer = post(client, "households", household_body(**changes))
    assert answer.status_code == 201
    return Household.objects.get(public_id=answer.json()["public_id"])


@pytest.mark.django_db
class TestPhones:
    def test_both_households_are_flagged(self, field: Client) -> None:
        first = registered(field, phone=PHONE)
        assert not Flag.objects.exists()
        registered(field)
        second = registered(field, phone="１３９ 1234-5678", village_code=factories.OTHER_VILLAGE)
        both = str({"households": 2})
        assert pairs("shared_phone") == {(first.pk, second.pk, both), (second.pk, first.pk, both)}
        assert Flag.objects.count() == 2
        with translation.override("en"):
            assert [explain(flag) for flag in open_flags(factories.tree(second, photo=False))] == [
                f"Household {first} of 登岜村村民委员会 has the same mobile number; 2 households in all."
            ]

    def test_of_many_each_has_one_flag(self, field: Client) -> None:
        ids = [registered(field, phone=PHONE).pk for _ in range(4)]
        assert {(one, other) for one, other, _ in pairs("shared_phone")} == {
            (ids[0], ids[1]), (ids[1], ids[0]), (ids[2], ids[0]), (ids[3], ids[0]),
        }  # fmt: skip

    def test_it_is_found_under_the_key_before(self, field: Client, settings: Any) -> None:
        first = registered(field, phone=PHONE)
        settings.FIELD_LOOKUP_KEYS = {"t2": "11" * 32, **settings.FIELD_LOOKUP_KEYS}
        second = registered(field, phone=PHONE)
        assert first.phone_digest.split(":")[0] != second.phone_digest.split(":")[0]
        assert {found[:2] for found in pairs("shared_phone")} == {(first.pk, second.pk), (second.pk, first.pk)}

    def test_looking_again_says_nothing_twice_even_after_somebody_settled_it(
        self, field: Client, reviewer: User
    ) -> None:
        first, second = registered(field, phone=PHONE), registered(field, phone=PHONE)
        settle_household(first, by=reviewer, note="Mother and daughter.")
        assert look_at_households([first.pk, second.pk]) == 0
        assert Flag.objects.count() == 2

    def test_as_many_statements_for_many_households_as_for_one(self, field: Client) -> None:
        ids = [registered(field, phone=PHONE if number % 2 else f"1391234{number:04}").pk for number in range(20)]
        counts = []
        for some in (ids[:4], ids):
            with transaction.atomic(), CaptureQueriesContext(connection) as captured:
                look_at_households(some)
            counts.append(len(captured))
        assert counts == [3, 3]


@pytest.mark.django_db
class TestNumbers:
    def test_a_second_household_with_an_id_number_is_refused_and_the_first_one_flagged(
        self, field: Client, officer: User
    ) -> None:
        body = household_body()
        first = Household.objects.get(public_id=post(field, "households", body).json()["public_id"])
        stranger = factories.user(roles.OFFICER)
        before = stored()
        again = household_body(id_number=body["id_number"], village_code=factories.OTHER_VILLAGE)
        for _ in range(2):
            answer = post(signed_in(stranger), "households", again)
            assert (answer.status_code, answer.json()["code"]) == (409, "household_exists")
        assert stored() == before
        flag = Flag.objects.get()
        assert (flag.kind, flag.household, flag.other_household) == ("shared_id", first, None)
        assert flag.evidence == {"officer": stranger.pk, "village": factories.OTHER_VILLAGE}
        with translation.override("en"):
            assert explain(flag) == (
                "officer tried to register a household of 八洛村村民委员会 with this household's ID number."
            )

    def test_the_same_record_sent_again_is_no_second_household(self, field: Client) -> None:
        body = household_body()
        assert {post(field, "households", body).status_code for _ in range(3)} == {201}
        assert not Flag.objects.exists()


@pytest.mark.django_db
class TestAccounts:
    def test_both_households_are_flagged_without_the_number(self, officer: User, settings: Any) -> None:
        first, second, third = (factories.household(officer) for _ in range(3))
        factories.account(first, number=CARD)
        settings.FIELD_LOOKUP_KEYS = {"t2": "11" * 32, **settings.FIELD_LOOKUP_KEYS}
        factories.account(second, number=f"{CARD[:4]} {CARD[4:]}", approved=False)
        factories.account(third)
        both = str({"households": 2})
        assert pairs("shared_account") == {(first.pk, second.pk, both), (second.pk, first.pk, both)}
        assert sorted(households_sharing(CARD)) == [first.pk, second.pk]

    def test_a_household_s_own_accounts_and_rejected_ones_do_not_count(self, officer: User) -> None:
        first, second = factories.household(officer), factories.household(officer)
        factories.account(first, number=CARD)
        factories.account(first, number=CARD)
        factories.account(second)
        assert not Flag.objects.exists()
        mistyped = factories.account(second, number=villager(2).card, approved=False)
        reject_account(mistyped, by=factories.user(roles.FINANCE), reason="wrong card")
        factories.account(first, number=villager(2).card)
        assert not Flag.objects.exists()

    def test_an_account_sent_twice_is_flagged_once(self, officer: User) -> None:
        first, second = factories.household(officer), factories.household(officer)
        factories.account(first, number=CARD)
        same = uuid.uuid4()
        for _ in range(2):
            factories.account(second, number=CARD, client_uuid=same, approved=False)
        assert Flag.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_households_that_share_accounts_enter_them_at_once_without_a_deadlock() -> None:
    """Each writes flags that refer to the other's row, which the other has locked to count its versions."""
    officer = factories.user(roles.OFFICER)
    couples = [(factories.household(officer), factories.household(officer), villager(n).card) for n in range(4)]
    for one, other, card in couples:
        for owner in (one, other):  # Known before anybody looked at what is shared.
            account = BankAccount(household=owner, version=1, holder=owner.head_name, number=card, entered_by=officer)
            account.client_uuid = uuid.uuid4()
            account.save()
    work = [(owner, card) for one, other, card in couples for owner in (one, other)]

    def enter(owner: Household, card: str) -> Any:
        return factories.account(owner, number=card, approved=False)

    entered = at_once(*[functools.partial(enter, *each) for each in work])
    assert [getattr(account, "household", account) for account in entered] == [owner for owner, _card in work]
    assert len(pairs("shared_account")) == 8
    assert Flag.objects.count() == 8
