"""Second looks: the nightly draw that anybody can repeat, and what a second reviewer's verdict does."""

import hashlib
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from purchases.models import Sink
from purchases.vintages import open_vintage
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import Page
from trees import review, second_looks
from trees.models import Enrolment, Review, SecondLook, SecondLookDraw, Tree
from trees.second_looks import draw_second_looks, due, is_drawn, take_second_look
from trees.tasks import draw_second_looks as nightly


@pytest.fixture
def first(db: None) -> User:
    """The reviewer who approves."""
    return factories.user(roles.REVIEWER)


def approved(first: User, count: int = 1, percent: str = "100") -> list[Tree]:
    factories.divisions()
    factories.programme(second_look_percent=Decimal(percent))
    owner = factories.household()
    return [factories.approved_tree(owner, first) for _ in range(count)]


def draw_now() -> list[SecondLookDraw]:
    return draw_second_looks(timezone.now())


def drawn(first: User) -> SecondLook:
    """A second look that is due."""
    approved(first)
    draw_now()
    return SecondLook.objects.get()


class TestTheDraw:
    def test_a_number_is_drawn_by_its_hash_with_the_seed(self) -> None:
        fraction = int(hashlib.sha256(b"seed:1").hexdigest(), 16) / 2**256
        tenths = int(fraction * 1000) + 1  # The least rate, in tenths of a percent, that takes it.
        assert is_drawn("seed", "1", Decimal(tenths) / 10)
        assert not is_drawn("seed", "1", Decimal(tenths - 1) / 10)
        assert not any(is_drawn("seed", str(n), Decimal(0)) for n in range(1000))
        assert all(is_drawn("seed", str(n), Decimal(100)) for n in range(1000))
        assert 250 < sum(is_drawn("seed", str(n), Decimal("3.0")) for n in range(10_000)) < 350

    def test_it_takes_what_the_seed_says_and_can_be_repeated(self, first: User) -> None:
        trees = approved(first, 12, "50")
        (draw,) = draw_now()
        assert (draw.approvals, draw.percent, len(draw.seed)) == (12, 50, 64)
        expected = {t.number for t in trees if is_drawn(draw.seed, t.number, Decimal(50))}
        assert set(draw.looks.values_list("tree__number", flat=True)) == expected
        assert draw.drawn == len(expected)
        assert set(draw.looks.values_list("first_reviewer", flat=True)) <= {first.pk}
        assert list(second_looks.differences(draw)) == []

    def test_each_draw_begins_where_the_last_one_ended_and_none_is_drawn_twice(self, first: User) -> None:
        approved(first, 3)
        (one,) = draw_now()
        assert draw_second_looks(one.until) == []
        factories.approved_tree(reviewer=first)
        (two,) = draw_now()
        assert (two.since, two.approvals, one.seed == two.seed) == (one.until, 1, False)
        assert SecondLook.objects.count() == Review.objects.count() == 4

    def test_the_night_s_task_leaves_today_for_tomorrow(self, first: User) -> None:
        approved(first)
        nightly()
        assert not SecondLookDraw.objects.exists()
        yesterday = Review.objects.get().at - timedelta(days=1)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE trees_review DISABLE TRIGGER USER")
            Review.objects.update(at=yesterday)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE trees_review ENABLE TRIGGER USER")
        nightly()
        nightly()
        draw = SecondLookDraw.objects.get()
        local = timezone.localtime(draw.until)
        assert (local.date(), local.hour, local.minute, draw.since) == (timezone.localdate(), 0, 0, yesterday)
        assert SecondLook.objects.count() == 1

    def test_a_rate_of_nothing_is_a_draw_without_looks(self, first: User) -> None:
        approved(first, 2, "0")
        (draw,) = draw_now()
        assert (draw.approvals, draw.drawn, SecondLook.objects.count()) == (2, 0, 0)

    def test_the_command_draws_and_verifies_and_finds_what_was_tampered_with(self, first: User) -> None:
        trees = approved(first, 4)
        out = StringIO()
        with pytest.raises(CommandError, match="future"):
            call_command("draw_second_looks", until="2999-01-01")
        with pytest.raises(CommandError, match="neither a day"):
            call_command("draw_second_looks", until="tomorrow")
        call_command("draw_second_looks", until=timezone.now().isoformat(), stdout=out)
        draw = SecondLookDraw.objects.get()
        assert out.getvalue() == f"test: 4 of 4 approvals, seed {draw.seed}\n"
        call_command("draw_second_looks", stdout=out)
        assert "Nothing was approved since the last draw." in out.getvalue()
        call_command("draw_second_looks", "--verify", stdout=out)
        assert "1 draws are what their seeds say." in out.getvalue()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE trees_secondlook DISABLE TRIGGER USER")
            SecondLook.objects.get(tree=trees[0]).delete()
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE trees_secondlook ENABLE TRIGGER USER")
        said = StringIO()
        with pytest.raises(CommandError, match="2 differences"):
            call_command("draw_second_looks", "--verify", stdout=out, stderr=said)
        assert f"tree {trees[0].number} belongs to the sample and is missing" in said.getvalue()

    @pytest.mark.django_db(transaction=True)
    def test_two_draws_at_once_are_one(self) -> None:
        approved(factories.user(roles.REVIEWER), 3)
        until = timezone.now()
        draws = at_once(*[lambda: draw_second_looks(until)] * 4)
        assert sorted(len(found) for found in draws) == [0, 0, 0, 1]
        assert (SecondLookDraw.objects.count(), SecondLook.objects.count()) == (1, 3)


class TestWhoLooks:
    def test_other_reviewers_of_the_area_only(self, first: User) -> None:
        look = drawn(first)
        other, elsewhere = factories.user(roles.REVIEWER), factories.user(roles.REVIEWER, "522631")
        assert [list(due(user)) for user in (other, first, elsewhere)] == [[look], [], []]
        path = f"/review/second-looks/{look.pk}/"
        assert f'href="{path}"' in signed_in(other).get("/review/second-looks/").content.decode()
        assert "1</b><span>second look" in signed_in(other).get("/review/").content.decode()
        assert signed_in(other).get(path).status_code == 200
        for user in (first, elsewhere):
            assert signed_in(user).get(path).status_code == 404
        agree = {"verdict": "agrees"}
        assert signed_in(elsewhere).post(path, agree).status_code == 404
        for role in (roles.OFFICER, roles.FINANCE, roles.ADMINISTRATOR, roles.BUYER):
            assert signed_in(factories.user(role)).get(path).status_code == 404
            assert signed_in(factories.user(role)).post(path, agree).status_code == 404
        answer = signed_in(first).post(path, agree)
        assert answer.status_code == 403
        assert "You approved this tree: somebody else must take the second look." in Page(answer).said
        assert SecondLook.objects.get().reviewer is None

    def test_not_who_registered_or_measured_the_tree(self, first: User) -> None:
        look = drawn(first)
        officer = look.tree.registered_by
        officer.groups.add(*first.groups.all())
        assert list(due(officer)) == []
        with pytest.raises(DomainError) as error:
            take_second_look(look, reviewer=officer, verdict="agrees")
        assert error.value.code == "same_person"

    def test_the_database_refuses_the_first_reviewer(self, first: User) -> None:
        look = drawn(first)
        with pytest.raises(IntegrityError, match="two_people"), transaction.atomic():
            SecondLook.objects.filter(pk=look.pk).update(reviewer=first, verdict="agrees", at=timezone.now())

    def test_an_approval_that_does_not_hold_any_more_needs_none(self, first: User) -> None:
        look, other = drawn(first), factories.user(roles.REVIEWER)
        review.take_back_approval(look.tree, reviewer=first, reason="tenure")
        assert list(due(other)) == []
        review.approve_tree(look.tree, reviewer=first)
        assert list(due(other)) == []
        with pytest.raises(DomainError) as error:
            take_second_look(look, reviewer=other, verdict="agrees")
        assert error.value.code == "wrong_state"


class TestTheVerdict:
    def ask(self, look: SecondLook, county: Client, **body: Any) -> Any:
        return county.post(f"/review/second-looks/{look.pk}/", body)

    def test_who_agrees_changes_nothing_but_the_look(self, first: User, county: Client, reviewer: User) -> None:
        look = drawn(first)
        answer = self.ask(look, county, verdict="agrees")
        assert (answer.status_code, answer["Location"]) == (302, "/review/second-looks/")
        look.refresh_from_db()
        assert (look.reviewer, look.verdict, look.reason) == (reviewer, "agrees", "")
        assert look.at is not None
        assert Tree.objects.get().state == "approved"
        assert Review.objects.count() == 1
        assert self.ask(look, county, verdict="disagrees", reason="tenure").status_code == 409
        assert Tree.objects.get().state == "approved"

    def test_who_disagrees_takes_the_approval_back(self, first: User, county: Client, reviewer: User) -> None:
        look = drawn(first)
        open_vintage(factories.tariff())
        for body in ({}, {"verdict": "disagrees"}, {"verdict": "disagrees", "reason": "other"}, {"verdict": "maybe"}):
            assert self.ask(look, county, **body).status_code == 400
        assert self.ask(look, county, verdict="disagrees", reason="wrong_size", note="3 cm").status_code == 302
        look.refresh_from_db()
        assert (look.verdict, look.reason, look.note) == ("disagrees", "wrong_size", "3 cm")
        assert Tree.objects.get().state == "submitted"
        assert Enrolment.objects.get().revoked_at is not None
        assert Sink.objects.get().open is False
        taken = Review.objects.latest("pk")
        assert (taken.decision, taken.reviewer, taken.reason) == ("taken_back", reviewer, "wrong_size")

    def test_of_a_sold_tree_the_disagreement_suspends(self, first: User, county: Client, reviewer: User) -> None:
        look = drawn(first)
        open_vintage(factories.tariff())
        factories.paid_order(tree=look.tree)
        assert self.ask(look, county, verdict="disagrees", reason="duplicate").status_code == 302
        tree = Tree.objects.get()
        assert tree.state == "suspended"
        change = tree.history().last()
        assert change is not None
        assert (change.to_state, change.by, change.reason) == ("suspended", reviewer, "duplicate")
        assert Enrolment.objects.get().revoked_at is None
        assert Review.objects.count() == 1
        assert Sink.objects.get().order is not None

    @pytest.mark.django_db(transaction=True)
    def test_of_two_verdicts_at_once_one_counts(self) -> None:
        look = drawn(factories.user(roles.REVIEWER))
        others = [factories.user(roles.REVIEWER) for _ in range(2)]
        answers = at_once(
            lambda: take_second_look(look, reviewer=others[0], verdict="agrees"),
            lambda: take_second_look(look, reviewer=others[1], verdict="disagrees", reason="tenure"),
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["DomainError", "SecondLook"]
        look.refresh_from_db()
        assert Tree.objects.get().state == ("approved" if look.verdict == "agrees" else "submitted")


def test_administrators_see_how_often_others_agreed(first: User, reviewer: User) -> None:
    approved(first, 4)
    draw_now()
    looks = list(SecondLook.objects.order_by("pk"))
    for look in looks[:2]:
        take_second_look(look, reviewer=reviewer, verdict="agrees")
    take_second_look(looks[2], reviewer=reviewer, verdict="disagrees", reason="tenure")
    (row,) = second_looks.agreement()
    assert (row.reviewer, row.drawn, row.agreed, row.disagreed, row.percent) == (first, 4, 2, 1, 66.7)
    page = signed_in(factories.user(roles.ADMINISTRATOR)).get("/admin/trees/secondlook/")
    assert page.status_code == 200
    assert "66.7 %" in page.content.decode()
    for name in ("flag", "review", "secondlookdraw", "programme"):
        assert signed_in(factories.user(roles.ADMINISTRATOR)).get(f"/admin/trees/{name}/").status_code == 200
        assert signed_in(factories.user(roles.REVIEWER)).get(f"/admin/trees/{name}/").status_code == 302
