"""The admin of the way out: finance reads masked numbers and acts, nobody writes."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from payouts import sending
from payouts.models import Attempt, BankAccount, Payout, StatementRow
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.purchases import books

MODELS: list[Any] = [BankAccount, Payout, Attempt, StatementRow]


def page(model: Any, kind: str, *args: Any) -> str:
    return reverse(f"admin:payouts_{model._meta.model_name}_{kind}", args=args)


def world() -> BankAccount:
    (household,) = money.households(1)
    factories.account(household, approved=False)
    money.settle(1000)
    money.owe({household: 300})
    run_payouts()
    sending._begin(Payout.objects.get().pk)
    return household.bank_accounts.get(version=1)


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS)
def test_finance_sees_masked_numbers_and_changes_nothing(model: Any) -> None:
    account = world()
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    thing = model.objects.earliest("pk")
    listing, change = client.get(page(model, "changelist")), client.get(page(model, "change", thing.pk))
    assert (listing.status_code, change.status_code) == (200, 200)
    shown = listing.content.decode() + change.content.decode()
    household = account.household
    for secret in (account.number, household.phone, household.id_number, account.holder, account.number_digest):
        assert secret not in shown
    if model is BankAccount:
        assert account.masked_number in shown
    assert client.get(page(model, "add")).status_code == 403
    assert client.post(page(model, "change", thing.pk), {"state": "approved", "fen": "1"}).status_code == 403
    assert client.post(page(model, "delete", thing.pk), {"post": "yes"}).status_code == 403
    client.post(page(model, "changelist"), {"action": "delete_selected", "_selected_action": [thing.pk], "post": "yes"})
    assert model.objects.filter(pk=thing.pk).exists()
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER, roles.ADMINISTRATOR, ""])
def test_nobody_else_comes_to_the_money(model: Any, role: str) -> None:
    world()
    client = Client()
    if role:
        client.force_login(factories.user(role))
    thing = model.objects.earliest("pk")
    refused = 403 if role == roles.ADMINISTRATOR else 302
    assert client.get(page(model, "changelist")).status_code == refused
    assert client.get(page(model, "change", thing.pk)).status_code == refused
    for action in ("approve", "reject", "approve_held", "cancel"):
        client.post(page(model, "changelist"), {"action": action, "_selected_action": [thing.pk]})
    assert BankAccount.objects.get(version=2).state == "entered"
    assert Payout.objects.get().state == "sending"


@pytest.mark.django_db
def test_finance_approves_and_rejects_accounts() -> None:
    accounts = [factories.account(factories.household(), approved=False) for _ in range(3)]
    finance, client = factories.user(roles.FINANCE), Client(headers={"accept-language": "en"})
    client.force_login(finance)
    for action, chosen in (("approve", accounts[:2]), ("reject", accounts[1:])):
        answer = client.post(
            page(BankAccount, "changelist"),
            {"action": action, "_selected_action": [one.pk for one in chosen]},
            follow=True,
        )
    assert "Done: 1" in answer.content.decode()  # The second was approved already, and stays so.
    assert list(BankAccount.objects.order_by("pk").values_list("state", "approved_by")) == [
        ("approved", finance.pk), ("approved", finance.pk), ("rejected", None),
    ]  # fmt: skip
    assert [row.by_id for row in accounts[2].history()] == [finance.pk]
    books.all_is_well()


@pytest.mark.django_db
def test_a_payout_on_its_way_cannot_be_cancelled() -> None:
    world()
    client = Client(headers={"accept-language": "en"})
    client.force_login(factories.user(roles.FINANCE))
    before = books.lines()
    for action in ("cancel", "approve_held"):
        client.post(page(Payout, "changelist"), {"action": action, "_selected_action": [Payout.objects.get().pk]})
    assert Payout.objects.get().state == "sending"
    assert books.lines() == before
    books.all_is_well()


@pytest.mark.django_db
def test_a_superuser_looks_and_does_not_move_money() -> None:
    world()
    root = factories.user(roles.ADMINISTRATOR)
    root.is_superuser = True
    root.save()
    client = Client()
    client.force_login(root)
    before = books.lines()
    for model, actions in ((BankAccount, ["approve", "reject"]), (Payout, ["approve_held", "cancel"])):
        assert client.get(page(model, "changelist")).status_code == 200
        for action in actions:
            chosen = list(model.objects.values_list("pk", flat=True))
            client.post(page(model, "changelist"), {"action": action, "_selected_action": chosen})
    assert BankAccount.objects.get(version=2).state == "entered"
    assert Payout.objects.get().state == "sending"
    assert books.lines() == before
