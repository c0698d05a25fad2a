"""Organisations: found by their code, noted unchecked, checked by a person of the office."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.states import StateChange
from purchases.models import Organisation
from purchases.organisations import confirm_organisation, find_or_note
from tests import factories

CODE, OTHER_CODE = "91110000600037341L", "53100000500000082F"
LISTING = reverse("admin:purchases_organisation_changelist")

pytestmark = pytest.mark.django_db


def noted(name: str = "贵州青山有限公司", **changes: Any) -> Organisation:
    return find_or_note(**({"code": CODE, "name": name, "kind": "enterprise", "contact": "a@example.org"} | changes))


@pytest.mark.parametrize(
    "typed",
    [CODE, CODE.lower(), " 9111 0000 6000 3734 1l ", "９１１１００００６０００３７３４１Ｌ", "91110000-600037341-L"],
)
def test_a_code_is_found_however_it_is_typed(typed: str) -> None:
    first = noted()
    assert noted(code=typed) == first
    assert (first.code, first.is_checked) == (CODE, False)
    assert Organisation.objects.count() == 1


@pytest.mark.parametrize(
    "wrong", ["91110000600037341K", "9111000060003734", "", "I1110000600037341L", "一" * 18, "0" * 40]
)
def test_a_code_whose_check_character_is_wrong_is_not_noted(wrong: str) -> None:
    with pytest.raises(DomainError) as refused:
        noted(code=wrong)
    assert refused.value.code == "bad_code"
    assert not Organisation.objects.exists()


@pytest.mark.parametrize("bad", [{"name": " "}, {"kind": "individual"}, {"kind": ""}, {"name": "甲" * 81}])
def test_no_name_and_no_kind_of_organisation_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(DomainError):
        noted(**bad)
    assert not Organisation.objects.exists()


def test_a_later_note_changes_nothing_of_an_unchecked_one() -> None:
    first = noted()
    again = noted("别的名字有限公司", kind="social_group")
    assert again == first
    first.refresh_from_db()
    assert (first.name, first.kind) == ("贵州青山有限公司", "enterprise")


def test_another_name_for_a_checked_code_is_refused_and_the_real_one_not_told() -> None:
    confirm_organisation(noted("贵州青山（集团）有限公司"), by=factories.user(roles.FINANCE))
    with pytest.raises(DomainError) as refused:
        noted("别的名字有限公司")
    assert refused.value.code == "another_name"
    assert "青山" not in refused.value.message
    # Brackets and spaces are written in many ways.
    assert noted("贵州青山(集团) 有限公司").is_checked
    assert Organisation.objects.get().name == "贵州青山（集团）有限公司"


@pytest.mark.parametrize("role", [roles.FINANCE, roles.ADMINISTRATOR])
def test_the_office_checks_an_organisation_and_who_did_it_is_written_down(role: str) -> None:
    organisation, other = noted(), noted(code=OTHER_CODE, name="某基金会", kind="social_group")
    user, client = factories.user(role), Client(headers={"accept-language": "en"})
    client.force_login(user)
    sent = {"action": "confirm", "_selected_action": [organisation.pk]}
    assert client.post(LISTING, sent).status_code == 302
    organisation.refresh_from_db()
    other.refresh_from_db()
    assert (organisation.checked_by, organisation.is_checked, other.is_checked) == (user, True, False)
    change = StateChange.objects.get(thing="purchases.organisation")
    assert (change.object_id, change.by, change.to_state) == (organisation.pk, user, "checked")
    assert CODE in change.reason
    # A second time is refused and leaves the first as it was.
    assert "was checked before" in client.post(LISTING, sent, follow=True).content.decode()
    assert StateChange.objects.filter(thing="purchases.organisation").count() == 1


def test_those_that_wait_come_first_and_can_be_filtered() -> None:
    confirm_organisation(noted(), by=factories.user(roles.FINANCE))
    noted(code=OTHER_CODE, name="某基金会", kind="social_group")
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    page = client.get(LISTING).content.decode()
    assert page.index("某基金会") < page.index("贵州青山有限公司")
    waiting = client.get(LISTING, {"checked": "no"}).content.decode()
    assert ("某基金会" in waiting, "贵州青山有限公司" in waiting) == (True, False)


def test_a_name_is_put_right_until_it_is_checked_and_never_afterwards() -> None:
    organisation, client = noted("贵州青山公司"), Client()
    client.force_login(factories.user(roles.FINANCE))
    change = reverse("admin:purchases_organisation_change", args=[organisation.pk])
    right = {"name": "贵州青山有限公司", "kind": "enterprise", "code": OTHER_CODE, "contact": "a@example.org"}
    assert client.post(change, right).status_code == 302
    organisation.refresh_from_db()
    assert (organisation.name, organisation.code) == ("贵州青山有限公司", CODE)
    confirm_organisation(organisation, by=factories.user(roles.FINANCE))
    assert client.post(change, right | {"name": "别的名字", "contact": "b@example.org"}).status_code == 302
    organisation.refresh_from_db()
    assert organisation.name == "贵州青山有限公司"
    # Who speaks for it may change.
    assert (organisation.is_checked_with("a@example.org"), organisation.is_checked_with("b@example.org")) == (
        False,
        True,
    )


@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER])
def test_nobody_else_checks_organisations(role: str) -> None:
    organisation, client = noted(), Client()
    user = factories.user(role)
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get(LISTING).status_code == 403
    assert client.post(LISTING, {"action": "confirm", "_selected_action": [organisation.pk]}).status_code == 403
    organisation.refresh_from_db()
    assert not organisation.is_checked
