"""What holders do with a certificate: retiring it for ever, handing it on, dividing it; and what the database refuses."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases import certificates, holding
from purchases.certificates import Part
from purchases.models import Buyer, Certificate, Retirement, Sink
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.losing import leave, sweep
from trees.models import Tree

WHY = {"beneficiary": "从江县林业局", "purpose": "2026年度会议碳中和"}


def certified(quantity: int = 3, **choice: Any) -> Certificate:
    """A valid certificate of so many trees, with one more tree left on sale."""
    factories.market(quantity + 1)
    made = factories.paid_order(quantity, holder="王五", dedication="为了孩子", **choice).certificate
    assert made is not None
    return made


def buyer() -> Buyer:
    """Somebody who has bought nothing."""
    return Buyer.objects.create(contact="friend@example.org")


def trees_of(certificate: Certificate) -> set[int]:
    return set(certificate.sinks.values_list("tree", flat=True))


def state_of(certificate: Certificate) -> str:
    return Certificate.objects.get(pk=certificate.pk).state


@pytest.mark.django_db
class TestHolding:
    """Each deed by itself."""

    def test_retiring_says_for_whom_and_what_for_and_keeps_the_serial(self) -> None:
        certificate = certified()
        retired = holding.retire(certificate, **WHY)
        assert (retired.pk, state_of(certificate)) == (certificate.pk, "retired")
        said = Retirement.objects.get()
        assert (said.certificate, said.beneficiary, said.purpose) == (retired, *WHY.values())
        assert certificates.is_genuine(retired)
        assert Certificate.objects.count() == 1
        books.all_is_well()

    def test_some_trees_are_retired_and_the_rest_stays_valid_in_the_same_name(self) -> None:
        certificate = certified()
        trees = trees_of(certificate)
        retired = holding.retire(certificate, trees=1, **WHY)
        kept = Certificate.objects.get(state="valid")
        assert state_of(certificate) == "replaced"
        assert (retired.state, retired.trees, retired.kg, kept.trees, kept.kg) == ("retired", 1, 10, 2, 20)
        assert trees_of(retired) | trees_of(kept) == trees
        assert not trees_of(retired) & trees_of(kept)
        for one in (retired, kept):
            assert (one.parent, one.owner, one.holder, one.dedication) == (
                certificate,
                certificate.owner,
                "王五",
                "为了孩子",
            )
            assert certificates.is_genuine(one)
        assert len({certificate.serial, retired.serial, kept.serial}) == 3
        assert len({certificate.token, retired.token, kept.token}) == 3
        books.all_is_well()

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ({"beneficiary": " \u202e "}, "no_beneficiary"),
            ({"purpose": "\n"}, "no_purpose"),
            ({"purpose": "x" * 201}, "no_purpose"),
            ({"beneficiary": "x" * 81}, "invalid"),
            ({"trees": 0}, "bad_quantity"),
            ({"trees": -1}, "bad_quantity"),
            ({"trees": 4}, "bad_quantity"),
        ],
    )
    def test_what_cannot_be_retired_changes_nothing(self, words: dict[str, Any], code: str) -> None:
        certificate = certified()
        with pytest.raises(DomainError) as refused:
            holding.retire(certificate, **{**WHY, **words})
        assert refused.value.code == code
        assert (state_of(certificate), Certificate.objects.count(), Retirement.objects.count()) == ("valid", 1, 0)

    def test_what_was_handed_on_is_the_new_owners_and_the_rest_the_old_ones(self) -> None:
        certificate, friend = certified(), buyer()
        trees = trees_of(certificate)
        given = holding.hand_on(certificate, to=friend, holder="李四", trees=2, reason="gift", dedication="生日快乐")
        kept = Certificate.objects.get(state="valid", owner=certificate.owner)
        assert (given.owner, given.holder, given.dedication, given.trees) == (friend, "李四", "生日快乐", 2)
        assert (kept.holder, kept.dedication, kept.trees, state_of(certificate)) == (
            "王五",
            "为了孩子",
            1,
            "transferred",
        )
        assert trees_of(given) | trees_of(kept) == trees
        assert set(Sink.objects.filter(tree__in=trees).values_list("order", flat=True)) == {certificate.order_id}
        books.all_is_well()

    def test_all_of_it_handed_on_leaves_nothing(self) -> None:
        certificate, friend = certified(), buyer()
        given = holding.hand_on(certificate, to=friend, holder="", trees=3, reason="gift")
        assert list(Certificate.objects.filter(state="valid")) == [given]
        assert (given.trees, given.holder, certificate.order.certificate) == (3, "", certificate)
        books.all_is_well()

    def test_a_tree_gets_a_certificate_of_its_own(self) -> None:
        certificate = certified()
        tree = certificate.sinks.latest("pk").tree
        alone = holding.split_tree(certificate, tree)
        assert (trees_of(alone), alone.trees, alone.owner) == ({tree.pk}, 1, certificate.owner)
        assert holding.split_tree(alone, tree) == alone
        assert Certificate.objects.count() == 3
        books.all_is_well()

    def test_a_tree_of_another_certificate_is_not_split_off(self) -> None:
        certificate = certified()
        other = Tree.objects.exclude(sinks__certificate=certificate).get()
        with pytest.raises(DomainError) as refused:
            holding.split_tree(certificate, other)
        assert (refused.value.code, refused.value.status) == ("not_its_tree", 404)
        assert state_of(certificate) == "valid"

    def test_what_has_ended_is_nobodys_any_more(self) -> None:
        for end in ("retired", "transferred"):
            certificate = certified(1)
            if end == "retired":
                holding.retire(certificate, **WHY)
            else:
                holding.hand_on(certificate, to=buyer(), holder="", reason="gift")
            issued = Certificate.objects.count()
            for deed in (
                lambda one=certificate: holding.retire(one, **WHY),
                lambda one=certificate: holding.hand_on(one, to=buyer(), holder="", trees=1, reason="gift"),
                lambda one=certificate: holding.split_tree(one, Tree.objects.earliest("pk")),
            ):
                with pytest.raises(DomainError) as refused:
                    deed()
                assert (refused.value.code, refused.value.status) == ("not_yours_any_more", 409)
            assert Certificate.objects.count() == issued
        books.all_is_well()

    def test_the_order_shows_what_its_buyer_still_has(self) -> None:
        certificate = certified()
        holding.hand_on(certificate, to=buyer(), holder="", trees=1, reason="gift")
        shown = certificate.order.certificate
        assert shown is not None
        assert (shown.owner, shown.trees, shown.state) == (certificate.owner, 2, "valid")


@pytest.mark.django_db
class TestLosses:
    """Trees that die under a divided certificate."""

    def test_only_the_certificate_that_lost_a_tree_is_replaced(self) -> None:
        certificate = certified()
        given = holding.hand_on(certificate, to=buyer(), holder="李四", trees=1, reason="gift")
        kept = Certificate.objects.get(state="valid", owner=certificate.owner)
        leave(given.sinks.get().tree)
        sweep()
        new = Certificate.objects.get(parent=given)
        assert (state_of(given), state_of(kept), new.state) == ("replaced", "valid", "valid")
        assert (new.owner, new.holder, new.trees) == (given.owner, "李四", 1)
        books.all_is_well()

    def test_the_successor_of_a_retired_one_is_retired_for_the_same(self) -> None:
        certificate = holding.retire(certified(), **WHY)
        leave(certificate.sinks.earliest("pk").tree)
        sweep()
        new = Certificate.objects.get(parent=certificate)
        assert (state_of(certificate), new.state, new.trees) == ("replaced", "retired", 3)
        assert (new.retirement.beneficiary, new.retirement.purpose) == tuple(WHY.values())
        assert list(new.history().values_list("from_state", "to_state")) == [("valid", "retired")]
        with pytest.raises(DomainError, match="retired, handed on or replaced"):
            holding.hand_on(new, to=buyer(), holder="", reason="gift")
        books.all_is_well()

    def test_each_of_two_certificates_gets_its_own_stand_ins_and_an_empty_one_is_revoked(self) -> None:
        factories.market(4)
        order = factories.paid_order(3)
        assert order.certificate is not None
        given = holding.hand_on(order.certificate, to=buyer(), holder="", trees=2, reason="gift")
        kept = Certificate.objects.get(state="valid", owner=order.buyer)
        for tree in Tree.objects.filter(sinks__certificate__in=[given, kept]):
            leave(tree)
        sweep()
        # One tree is left to stand in for three.
        assert Certificate.objects.filter(state="valid").get().trees == 1
        assert sorted([state_of(given), state_of(kept)]) == ["replaced", "revoked"]
        order.refresh_from_db()
        assert order.state == "partly_refunded"
        books.all_is_well()


@pytest.mark.django_db(transaction=True)
class TestRaces:
    """Two deeds at once: one is done, the other finds it done."""

    def outcome(self, *deeds: Any) -> list[str]:
        """What came of each: "done", or the code of the refusal; never anything else."""
        found = at_once(*deeds)
        wrong = [one for one in found if isinstance(one, Exception) and not isinstance(one, DomainError)]
        assert wrong == []
        return sorted(one.code if isinstance(one, DomainError) else "done" for one in found)

    def test_retiring_twice(self) -> None:
        certificate = certified()
        deed = lambda: holding.retire(Certificate.objects.get(pk=certificate.pk), **WHY)  # noqa: E731
        assert self.outcome(deed, deed, deed) == ["done", "not_yours_any_more", "not_yours_any_more"]
        assert Retirement.objects.count() == 1
        books.all_is_well()

    def test_retiring_against_handing_on(self) -> None:
        certificate, friend = certified(), buyer()
        assert self.outcome(
            lambda: holding.retire(Certificate.objects.get(pk=certificate.pk), **WHY),
            lambda: holding.hand_on(
                Certificate.objects.get(pk=certificate.pk), to=friend, holder="", trees=2, reason="gift"
            ),
        ) == ["done", "not_yours_any_more"]
        books.all_is_well()

    def test_handing_the_same_trees_to_two_people(self) -> None:
        certificate = certified()
        friends = [buyer(), buyer()]
        assert self.outcome(
            *[
                lambda to=to: holding.hand_on(
                    Certificate.objects.get(pk=certificate.pk), to=to, holder="", trees=3, reason="gift"
                )
                for to in friends
            ]
        ) == ["done", "not_yours_any_more"]
        assert sum(Certificate.objects.filter(owner__in=friends).values_list("trees", flat=True)) == 3
        books.all_is_well()

    def test_retiring_against_a_lost_tree(self) -> None:
        for _turn in range(4):
            certificate = certified(2)
            leave(certificate.sinks.earliest("pk").tree)
            retired, swept = at_once(
                lambda one=certificate: holding.retire(Certificate.objects.get(pk=one.pk), **WHY), sweep
            )
            assert swept is None, swept
            new = Certificate.objects.get(parent=certificate)
            if isinstance(retired, DomainError):
                assert (retired.code, new.state) == ("not_yours_any_more", "valid")
            else:
                assert (retired.pk, new.state, new.trees) == (certificate.pk, "retired", 2)
            books.all_is_well()


@pytest.mark.django_db
class TestGuards:
    """What the database refuses, whoever writes."""

    def test_sinks_go_only_to_the_successor_of_what_has_ended(self) -> None:
        mine, other = certified(1), certified(1)
        for sql in (
            f"UPDATE purchases_sink SET certificate_id = {other.pk} WHERE certificate_id = {mine.pk}",
            f"UPDATE purchases_sink SET certificate_id = NULL WHERE certificate_id = {mine.pk}",
        ):
            with pytest.raises(IntegrityError, match="belongs to certificate"), transaction.atomic():
                connection.cursor().execute(sql)

    def test_sinks_of_a_retired_one_never_serve_again(self) -> None:
        certificate = holding.retire(certified(1), **WHY)
        move(certificate, "replaced")
        fresh = Certificate.objects.get(pk=certificate.pk)
        fresh.pk, fresh.serial, fresh.token, fresh.parent, fresh.state = None, "X-1", "t", certificate, "valid"
        fresh.save(force_insert=True)
        with pytest.raises(IntegrityError, match="cannot go to"), transaction.atomic():
            Sink.objects.filter(certificate=certificate).update(certificate=fresh)

    @pytest.mark.parametrize("to", ["valid", "transferred"])
    def test_a_retired_one_does_not_come_back(self, to: str) -> None:
        holding.retire(certified(1), **WHY)
        with pytest.raises(IntegrityError, match="cannot become"), transaction.atomic():
            connection.cursor().execute("UPDATE purchases_certificate SET state = %s", [to])

    def test_a_retirement_needs_a_retired_certificate_and_a_retired_certificate_its_retirement(self) -> None:
        certificate = certified(1)
        with pytest.raises(IntegrityError, match="is not retired"), transaction.atomic():
            Retirement.objects.create(certificate=certificate, **WHY)
        with pytest.raises(IntegrityError, match="must say for whom"), transaction.atomic():
            move(certificate, "retired")
            connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")

    def test_parts_that_are_not_the_certificates_are_refused_whole(self) -> None:
        mine, other = certified(2), certified(1)
        own, foreign = list(mine.sinks.values_list("pk", flat=True)), list(other.sinks.values_list("pk", flat=True))
        for parts in ([own, foreign], [own, own], [own[:1]], [own, [10**9]]):
            with pytest.raises(RuntimeError), transaction.atomic():
                certificates.reissue(mine, "replaced", [Part(ids, mine.owner, "") for ids in parts], "test")
            assert state_of(mine) == "valid"
        books.all_is_well()
