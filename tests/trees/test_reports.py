"""A tree reported as dead or felled: somebody else of the county decides; and a household that withdraws its consent."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import StateChange, move
from purchases.models import Sink
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.losing import inspection
from tests.trees.conftest import signed_in
from tests.trees.registry import Page
from trees.growth import decide_inspection
from trees.models import Household, Inspection, Tree


@pytest.fixture
def sold_tree(officer: User) -> Tree:
    """A tree of the officer's in the scheme, with its sink on sale."""
    owner = factories.household(officer)
    tree = factories.approved_tree(owner)
    factories.open_vintage(factories.tariff())
    return tree


def decide(client: Client, report: Inspection, verdict: str, remark: str = "") -> Any:
    return client.post(f"/review/reports/{report.pk}/", {"verdict": verdict, "remark": remark})


def states(tree: Tree) -> list[str]:
    return list(tree.history().values_list("to_state", flat=True))


@pytest.mark.parametrize("condition", ["dead", "felled"])
def test_a_confirmed_report_ends_the_tree_and_the_history_says_who_and_why(
    county: Client, reviewer: User, sold_tree: Tree, condition: str
) -> None:
    report = inspection(sold_tree, condition, cause="storm")
    assert sold_tree.state == "suspended"
    assert not Sink.objects.get().open
    answer = decide(county, report, "confirm", "seen on the spot")
    assert answer.status_code == 302
    sold_tree.refresh_from_db()
    report.refresh_from_db()
    assert sold_tree.state == condition
    assert (report.state, report.decided_by) == ("confirmed", reviewer)
    assert report.decided_at is not None
    assert states(sold_tree) == ["approved", "suspended", condition]
    last = sold_tree.history().last()
    assert last is not None
    assert (last.by, last.reason) == (reviewer, "storm")
    assert report.history().get().reason == "seen on the spot"
    assert not Sink.objects.get().open
    books.all_is_well()


def test_a_refuted_report_puts_the_tree_back_on_sale(county: Client, sold_tree: Tree) -> None:
    report = inspection(sold_tree, "felled", cause="unpermitted")
    assert decide(county, report, "refute", "it stands, the neighbour's was felled").status_code == 302
    sold_tree.refresh_from_db()
    report.refresh_from_db()
    assert (sold_tree.state, report.state) == ("approved", "refuted")
    assert Sink.objects.get().open
    assert states(sold_tree) == ["approved", "suspended", "approved"]
    books.all_is_well()


def test_to_refute_one_says_what_was_seen(county: Client, sold_tree: Tree) -> None:
    report = inspection(sold_tree, "felled")
    answer = decide(county, report, "refute", "  ")
    assert answer.status_code == 400
    assert Page(answer).said == ["Write in the note what shows that the tree stands."]
    report.refresh_from_db()
    assert report.state == "reported"


def test_who_reported_a_tree_does_not_decide_about_it(sold_tree: Tree) -> None:
    both = factories.user(roles.REVIEWER)
    report = inspection(sold_tree, "felled", inspected_by=both)
    client = signed_in(both)
    assert (
        "You reported this tree: somebody else must decide about it."
        in client.get(f"/review/reports/{report.pk}/").content.decode()
    )
    assert decide(client, report, "confirm").status_code == 403
    sold_tree.refresh_from_db()
    report.refresh_from_db()
    assert (sold_tree.state, report.state) == ("suspended", "reported")


def test_the_database_refuses_a_decision_by_the_same_person(sold_tree: Tree) -> None:
    report = inspection(sold_tree, "felled")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE trees_inspection SET state = 'confirmed', decided_at = now(), decided_by_id = inspected_by_id"
        )
    report.refresh_from_db()
    assert report.state == "reported"


@pytest.mark.parametrize(
    ("role", "area"), [(roles.REVIEWER, "522631"), (roles.OFFICER, "522633"), (roles.FINANCE, ""), (roles.BUYER, "")]
)
def test_for_everybody_else_the_report_does_not_exist(sold_tree: Tree, role: str, area: str) -> None:
    report = inspection(sold_tree, "felled")
    client = signed_in(factories.user(role, area))
    assert client.get(f"/review/reports/{report.pk}/").status_code == 404
    assert decide(client, report, "confirm").status_code == 404
    listed = client.get("/review/reports/")
    assert listed.status_code == 404 or f"/review/reports/{report.pk}/" not in listed.content.decode()
    report.refresh_from_db()
    assert report.state == "reported"


def test_the_list_shows_reports_of_the_area_until_they_are_decided(county: Client, sold_tree: Tree) -> None:
    report = inspection(sold_tree, "dead", cause="drought")
    inspection(sold_tree, "alive", dbh_cm="8.1")
    said = county.get("/review/reports/").content.decode()
    assert f"/review/reports/{report.pk}/" in said
    assert "1 report waits" in said
    decide(county, report, "confirm")
    assert f"/review/reports/{report.pk}/" not in county.get("/review/reports/").content.decode()
    assert county.get(f"/review/reports/{report.pk}/").status_code == 200


def test_a_report_is_decided_once(county: Client, sold_tree: Tree) -> None:
    report = inspection(sold_tree, "dead")
    assert decide(county, report, "confirm").status_code == 302
    again = decide(county, report, "refute", "no")
    assert again.status_code == 409
    sold_tree.refresh_from_db()
    assert sold_tree.state == "dead"
    assert StateChange.objects.filter(thing="trees.inspection").count() == 1


def test_a_verdict_that_is_none_is_refused(county: Client, sold_tree: Tree) -> None:
    report = inspection(sold_tree, "dead")
    assert decide(county, report, "perhaps").status_code == 400
    assert county.post(f"/review/reports/{report.pk}/").status_code in (200, 400)
    report.refresh_from_db()
    assert report.state == "reported"


def test_an_inspection_of_a_living_tree_is_no_report(county: Client, sold_tree: Tree) -> None:
    look = inspection(sold_tree, "alive", dbh_cm="8.0")
    assert county.get(f"/review/reports/{look.pk}/").status_code == 404


def test_a_refuted_report_does_not_end_a_suspension_of_another_kind(county: Client, sold_tree: Tree) -> None:
    move(sold_tree, "suspended", reason="second look: wrong_species")
    decide(county, inspection(sold_tree, "dead"), "refute", "it has leaves")
    sold_tree.refresh_from_db()
    assert sold_tree.state == "suspended"


def test_a_report_about_a_tree_whose_household_left_changes_nothing_more(
    county: Client, field: Client, sold_tree: Tree
) -> None:
    report = inspection(sold_tree, "dead")
    withdraw(field, sold_tree.household)
    assert decide(county, report, "refute", "it stands").status_code == 302
    sold_tree.refresh_from_db()
    assert sold_tree.state == "withdrawn"


@pytest.mark.django_db(transaction=True)
def test_of_two_reviewers_at_once_one_decides() -> None:
    tree = factories.approved_tree()
    report = inspection(tree, "dead")
    one, two = factories.user(roles.REVIEWER), factories.user(roles.REVIEWER)
    outcomes = at_once(
        lambda: decide_inspection(Inspection.objects.get(), reviewer=one, confirm=True),
        lambda: decide_inspection(Inspection.objects.get(), reviewer=two, confirm=False, remark="it stands"),
    )
    assert [one.code for one in outcomes if isinstance(one, DomainError)] == ["wrong_state"], outcomes
    tree.refresh_from_db()
    report.refresh_from_db()
    assert (report.state, tree.state) in {("confirmed", "dead"), ("refuted", "approved")}
    assert StateChange.objects.filter(thing="trees.inspection").count() == 1


def withdraw(client: Client, household: Household, **changes: str) -> Any:
    data = {"on": timezone.localdate().isoformat(), "reason": "the son builds a house there", "sure": "on", **changes}
    return client.post(f"/officer/households/{household.public_id}/withdrawal/", data)


def test_a_withdrawn_consent_says_who_recorded_it_when_it_was_said_and_why(
    field: Client, officer: User, sold_tree: Tree
) -> None:
    household = sold_tree.household
    waiting = factories.tree(household)
    assert withdraw(field, household).status_code == 302
    sold_tree.refresh_from_db()
    waiting.refresh_from_db()
    assert (sold_tree.state, waiting.state) == ("withdrawn", "submitted")
    consent = household.consents.get()
    assert consent.withdrawn_at is not None
    noted = StateChange.objects.get(thing="trees.consent", object_id=consent.pk)
    assert (noted.by, noted.reason) == (officer, f"{timezone.localdate()}: the son builds a house there")
    assert not Sink.objects.get().open
    books.all_is_well()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": "  "}, ""),
        ({"sure": ""}, ""),
        ({"on": (timezone.localdate() + timedelta(days=2)).isoformat()}, "between that of the signature and today"),
        ({"on": "2001-01-01"}, "between that of the signature and today"),
    ],
)
def test_a_withdrawal_without_reason_certainty_or_a_possible_day_is_refused(
    field: Client, sold_tree: Tree, changes: dict[str, str], sentence: str
) -> None:
    answer = withdraw(field, sold_tree.household, **changes)
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    sold_tree.refresh_from_db()
    assert sold_tree.state == "approved"
    assert sold_tree.household.consents.get().withdrawn_at is None


def test_a_consent_is_withdrawn_once(field: Client, sold_tree: Tree) -> None:
    withdraw(field, sold_tree.household)
    again = withdraw(field, sold_tree.household)
    assert again.status_code == 409
    assert "This household has no consent in force." in again.content.decode()


@pytest.mark.parametrize(("role", "area"), [(roles.OFFICER, "522631"), (roles.REVIEWER, "522633")])
def test_nobody_else_withdraws_a_consent(sold_tree: Tree, role: str, area: str) -> None:
    client = signed_in(factories.user(role, area))
    assert client.get(f"/officer/households/{sold_tree.household.public_id}/withdrawal/").status_code == 404
    assert withdraw(client, sold_tree.household).status_code == 404
    assert sold_tree.household.consents.get().withdrawn_at is None
