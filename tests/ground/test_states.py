"""`move` and `move_many` are the only door: allowed moves leave one line of history, others leave nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonsink import states
from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.states import StateChange, Stateful, move, move_many, on_move
from tests import factories
from tests.ground.threads import at_once
from trees.models import Photo, Tree

STATEFUL = [model for model in apps.get_models() if issubclass(model, Stateful)]
STATES = Tree.State.values
# The table of the design, written down a second time.
TREE_MOVES = {
    "draft": {"submitted"},
    "submitted": {"approved", "rejected"},
    "rejected": {"submitted"},
    "approved": {"submitted", "suspended", "dead", "felled", "withdrawn", "expired"},
    "suspended": {"approved", "dead", "felled", "withdrawn"},
    "expired": {"submitted"},
    "withdrawn": {"submitted"},
    "dead": set(),
    "felled": set(),
}


def in_state(tree: Tree, state: str) -> Tree:
    """The tree as if its history had led to that state."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trees_tree SET state = %s WHERE id = %s", [state, tree.pk])
    tree.refresh_from_db()
    return tree


@pytest.mark.parametrize("model", STATEFUL, ids=lambda model: model.__name__)
def test_tables_speak_of_the_model_s_own_states(model: Any) -> None:
    known = set(model.State.values)
    named = set(model.MOVES) | {to for targets in model.MOVES.values() for to in targets}
    assert named <= known
    assert all(state not in targets for state, targets in model.MOVES.items())
    field = model._meta.get_field("state")
    assert max(map(len, known)) <= field.max_length
    assert field.default in model.MOVES
    for state in known:
        for to in known:
            assert (state in model.sources(to)) == (to in model.MOVES.get(state, set()))


@pytest.mark.parametrize("model", STATEFUL, ids=lambda model: model.__name__)
def test_every_state_but_those_kept_for_later_can_be_reached(model: Any) -> None:
    begins = {model._meta.get_field("state").default}
    if model is Tree:
        begins.add("draft")
    if model._meta.label == "purchases.Order":
        begins |= {"allocating", "held"}
    if model._meta.label == "trees.Inspection":
        begins.add("reported")
    reached: set[str] = set()
    while begins:
        state = begins.pop()
        reached.add(state)
        begins |= model.MOVES.get(state, set()) - reached
    assert reached == set(model.State.values)


def test_all_things_with_states_are_known() -> None:
    assert {model._meta.label for model in STATEFUL} == {
        "trees.Tree", "trees.Photo", "trees.Inspection", "trees.Import", "purchases.Order", "purchases.Payment", "purchases.Refund",
        "purchases.Certificate", "purchases.Campaign", "purchases.Gift", "purchases.Repeat", "purchases.Transfer",
        "purchases.Difference", "purchases.ByHand", "purchases.Stray", "outbox.Message", "payouts.BankAccount",
        "payouts.Payout", "payouts.Attempt", "payouts.Batch", "payouts.Alert", "payouts.Case", "payouts.Reconciliation",
        "payouts.Discrepancy", "payouts.Clarification",
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("source", STATES)
def test_a_tree_moves_as_the_table_says_and_no_other_way(source: str) -> None:
    tree, reviewer = factories.tree(), factories.user(roles.REVIEWER)
    for to in STATES:
        in_state(tree, source)
        before, told = StateChange.objects.count(), timezone.now()
        if to in TREE_MOVES[source]:
            move(tree, to, by=reviewer, reason="because")
            assert tree.state == Tree.objects.get(pk=tree.pk).state == to
            assert StateChange.objects.count() == before + 1
            written = tree.history().last()
            assert written is not None
            assert (written.from_state, written.to_state, written.by, written.reason) == (
                source, to, reviewer, "because",
            )  # fmt: skip
            assert timedelta() <= written.at - told < timedelta(seconds=10)
        else:
            with pytest.raises(DomainError) as refused:
                move(tree, to, by=reviewer, reason="because")
            assert (refused.value.code, refused.value.status) == ("wrong_state", 409)
            assert tree.state == Tree.objects.get(pk=tree.pk).state == source
            assert StateChange.objects.count() == before


@pytest.mark.django_db
@given(attempts=st.lists(st.sampled_from(STATES), max_size=12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_attempted_the_history_is_an_unbroken_chain_of_allowed_moves(attempts: list[str]) -> None:
    tree = Tree.objects.order_by("pk").last() or factories.tree(photo=False)
    state, chain = in_state(tree, "submitted").state, []
    already = tree.history().count()
    for to in attempts:
        if to in TREE_MOVES[state]:
            move(tree, to)
            chain.append((state, to))
            state = to
        else:
            with pytest.raises(DomainError):
                move(tree, to)
    assert list(tree.history().values_list("from_state", "to_state"))[already:] == chain
    assert Tree.objects.get(pk=tree.pk).state == tree.state == state


@pytest.mark.django_db
def test_a_stale_object_does_not_move() -> None:
    tree = factories.tree()
    stale = Tree.objects.get(pk=tree.pk)
    move(tree, "rejected")
    with pytest.raises(DomainError):
        move(stale, "approved")
    assert stale.state == "submitted"
    assert Tree.objects.get(pk=tree.pk).state == "rejected"


@pytest.mark.django_db
def test_further_columns_change_with_the_state_or_not_at_all() -> None:
    photo = factories.tree().photos.get()
    with pytest.raises(DomainError):
        move(photo, Photo.State.REFUSED, refusal="no")
    assert Photo.objects.get(pk=photo.pk).refusal == ""


@pytest.mark.django_db
def test_many_move_in_one_statement_and_only_those_that_may(django_assert_num_queries: Any) -> None:
    owner, officer = factories.household(), factories.user(roles.OFFICER)
    made = [factories.tree(owner, photo=False) for _ in range(4)]
    move(made[0], "rejected")
    photos = Photo.objects.bulk_create(
        Photo(tree=tree, sha256=str(n), original=f"x/{n}", uploaded_by=officer) for n, tree in enumerate(made)
    )
    move(photos[3], "refused", refusal="gone")

    with django_assert_num_queries(1) as queries:  # Nobody listens to photos: no savepoint either.
        moved = move_many(Photo.objects.all(), "refused", by=officer, reason="why", refusal="all")

    assert [q["sql"].split()[0] for q in queries.captured_queries] == ["WITH"]
    assert moved == [photo.pk for photo in photos[:3]]
    assert list(Photo.objects.order_by("pk").values_list("refusal", flat=True)) == ["all", "all", "all", "gone"]
    changes = StateChange.objects.filter(thing="trees.photo", reason="why")
    assert list(changes.order_by("pk").values_list("object_id", "from_state", "to_state", "by")) == [
        (pk, "received", "refused", officer.pk) for pk in moved
    ]
    assert made[0].state == "rejected"


@pytest.mark.django_db
def test_nothing_to_move_is_no_error() -> None:
    assert move_many(Tree.objects.none(), "approved") == []
    assert move_many(Tree.objects.filter(pk__in=[]), "approved") == []
    assert StateChange.objects.count() == 0


@pytest.mark.django_db
def test_listeners_hear_of_their_moves_only_and_a_raising_one_undoes_the_move(monkeypatch: Any) -> None:
    monkeypatch.setattr(states, "_listeners", [])
    heard: list[tuple[list[int], str]] = []
    on_move(Tree, to=["rejected"], do=lambda ids, to: heard.append((ids, to)))

    def refuse(ids: list[int], to: str) -> None:
        assert Tree.objects.get(pk=ids[0]).state == to  # It sees the move: it is in its transaction.
        raise RuntimeError("not now")

    on_move(Tree, to=["approved"], do=refuse)
    on_move(Photo, to=["approved", "rejected"], do=lambda ids, to: heard.append(([], "wrong model")))
    first, second = factories.tree(photo=False), factories.tree(photo=False)

    with pytest.raises(RuntimeError, match="not now"):
        move(first, "approved")
    assert Tree.objects.get(pk=first.pk).state == first.state == "submitted"
    assert first.history().count() == 0
    assert heard == []

    move(second, "rejected")
    assert heard == [([second.pk], "rejected")]
    with pytest.raises(DomainError):
        move(second, "approved")  # Not allowed, so nobody hears of it (the listener would raise RuntimeError).


@pytest.mark.django_db(transaction=True)
def test_two_who_move_the_same_thing_at_once_one_wins() -> None:
    for _ in range(5):
        tree = factories.tree(photo=False)
        results = at_once(
            *(lambda to=to: move(Tree.objects.get(pk=tree.pk), to) for to in ["approved", "rejected"] * 4)
        )
        lost = [result for result in results if result is not None]
        assert len(lost) == 7
        assert all(isinstance(error, DomainError) and error.code == "wrong_state" for error in lost)
        winner = ["approved", "rejected"][results.index(None) % 2]
        assert Tree.objects.get(pk=tree.pk).state == winner
        assert [change.to_state for change in tree.history()] == [winner]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE carbonsink_statechange SET reason = ''", "DELETE FROM carbonsink_statechange",
        "TRUNCATE carbonsink_statechange",
    ],
)  # fmt: skip
def test_history_is_append_only(sql: str) -> None:
    tree = factories.tree(photo=False)
    move(tree, "rejected", reason="true reason")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # Else pending checks alone would stop a TRUNCATE.
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert [change.reason for change in tree.history()] == ["true reason"]
