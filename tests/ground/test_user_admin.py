"""The admin of users: an administrator cannot become several people."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="carbonsink.accounts.backends.PhoneOrEmailBackend")
    return client


def change(client: Client, user: User, *given: str) -> int:
    data = {
        "name": user.name,
        "email": user.email or "",
        "phone": user.phone or "",
        "area": user.area,
        "is_active": "on",
        "groups": [Group.objects.get(name=name).pk for name in given],
    }
    return client.post(f"/admin/accounts/user/{user.pk}/change/", data).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("role", [roles.FINANCE, roles.ADMINISTRATOR, "superuser", "self"])
def test_an_administrator_sees_neither_himself_nor_those_who_check_him(role: str) -> None:
    administrator = factories.user(roles.ADMINISTRATOR)
    other = administrator if role == "self" else factories.user(roles.FINANCE if role == "superuser" else role)
    if role == "superuser":
        other.groups.clear()
        other.is_superuser = True
        other.save()
    before = other.password
    client = signed_in(administrator)
    assert change(client, other, roles.OFFICER) == 302  # To the index: there is no such user for him.
    passwords = {"password1": "another long password", "password2": "another long password", "usable_password": "true"}
    assert client.post(f"/admin/accounts/user/{other.pk}/password/", passwords).status_code in (302, 403, 404)
    other.refresh_from_db()
    assert other.password == before
    assert not other.groups.filter(name=roles.OFFICER).exists()
    assert f"/admin/accounts/user/{other.pk}/change/" not in client.get("/admin/accounts/user/").content.decode()


@pytest.mark.django_db
def test_an_administrator_gives_field_roles_but_not_those_of_money() -> None:
    client, officer = signed_in(factories.user(roles.ADMINISTRATOR)), factories.user(roles.OFFICER)
    assert change(client, officer, roles.REVIEWER) == 302
    assert set(officer.groups.values_list("name", flat=True)) == {roles.REVIEWER}
    for stronger in (roles.FINANCE, roles.ADMINISTRATOR):
        assert change(client, officer, stronger) == 200  # The form comes back: no such choice.
    assert set(officer.groups.values_list("name", flat=True)) == {roles.REVIEWER}
    officer.refresh_from_db()
    assert not officer.is_staff


@pytest.mark.django_db
def test_roles_that_check_each_other_are_not_given_to_one_person() -> None:
    root = factories.user(roles.ADMINISTRATOR)
    root.is_superuser = True
    root.save()
    officer = factories.user(roles.OFFICER)
    assert change(signed_in(root), officer, roles.OFFICER, roles.REVIEWER) == 200
    assert set(officer.groups.values_list("name", flat=True)) == {roles.OFFICER}
