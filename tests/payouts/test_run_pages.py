"""Finance's pages of runs and waiting money, through the door finance takes."""

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts import accounts, comparing, sending
from payouts.banks.base import TransferReport
from payouts.models import Approval, BankAccount, Payout, Run
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.payouts.clarifying import clarified, row
from tests.purchases import books
from trees.models import Household

pytestmark = pytest.mark.django_db


def signed_in(user: User | None = None) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user or factories.user(roles.FINANCE))
    return client


def text(answer: Any) -> str:
    """What a page says, without its marks."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())))


@pytest.fixture
def world(settings: Any) -> tuple[Run, list[Household]]:
    """Four households paid once, then a second run that is held: of a new one, one with another account, one that gets
    much more, one as last time; one more of the first run is missing."""
    settings.ACCOUNT_COOLING_HOURS = 0
    same, changed, more, missing, new = money.households(5)
    money.settle(100_000)
    money.owe(dict.fromkeys((same, changed, more, missing), 300))
    run_payouts()
    factories.account(changed)
    settings.PAYOUT_RUN_APPROVAL_ABOVE_FEN = 1
    money.owe({same: 300, changed: 300, more: 901, new: 100})
    done = run_payouts()
    return Run.objects.get(pk=done.pk), [same, changed, more, missing, new]


def form(answer: Any) -> dict[str, Any]:
    """What the approving form carries."""
    initial = answer.context["approve_form"].initial
    return {"count": initial["count"], "fen": initial["fen"]}


def test_a_run_is_looked_at_and_approved_by_two(world: tuple[Run, list[Household]]) -> None:
    run, _households = world
    page = reverse("payouts:finance-run", args=[run.pk])
    first, second = signed_in(), signed_in()
    answer = first.get(page)
    said = text(answer)
    for sentence in (
        "¥16.01 · 4 households",
        "Paid for the first time 1",
        "Another account than last time 1",
        "More than three times the last payout 1",
        "Paid by the run before, not by this one 1 · ¥3.00",
        "4 payouts wait for two people ¥16.01",
        "从江县 4 ¥16.01",
        "登岜村 4 ¥16.01",
    ):
        assert sentence in said, sentence
    assert form(answer) == {"count": 4, "fen": 1601}
    for client, told in ((first, "Noted."), (second, "4 payouts are approved")):
        answer = client.post(reverse("payouts:finance-approve-run", args=[run.pk]), form(client.get(page)), follow=True)
        assert told in text(answer)
    assert set(run.paid.values_list("state", flat=True)) == {"approved"}
    books.all_is_well()


def test_a_form_of_before_is_refused_with_a_sentence(world: tuple[Run, list[Household]]) -> None:
    run, _households = world
    client = signed_in()
    seen = form(client.get(reverse("payouts:finance-run", args=[run.pk])))
    sending.cancel(run.paid.earliest("pk"), by=factories.user(roles.FINANCE), reason="wrong")
    answer = client.post(reverse("payouts:finance-approve-run", args=[run.pk]), seen)
    assert answer.status_code == 409
    assert "What waits in this run has changed since you looked." in text(answer)
    assert form(answer) == {"count": 3, "fen": 1301}
    assert not Approval.objects.exists()
    answer = client.post(reverse("payouts:finance-approve-run", args=[run.pk]), {"count": "x"})
    assert answer.status_code == 400


def test_held_payouts_are_released_one_or_all(world: tuple[Run, list[Household]]) -> None:
    run, households = world
    client = signed_in()
    one = run.paid.get(household=households[2])
    release = reverse("payouts:finance-release-payout", args=[one.pk])
    assert client.post(release, {"reason": ""}).status_code == 400
    assert client.post(release, {"reason": "too much"}).status_code == 302
    assert client.post(release, {"reason": "too much"}).status_code == 409
    assert money.owed_fen(households[2]) == 901
    page = reverse("payouts:finance-run", args=[run.pk])
    seen = form(client.get(page))
    everything = reverse("payouts:finance-release-run", args=[run.pk])
    assert client.post(everything, seen).status_code == 400
    answer = client.post(everything, {**seen, "reason": "the tariff was wrong"}, follow=True)
    assert "3 payouts are owed again." in text(answer)
    assert set(run.paid.values_list("state", flat=True)) == {"cancelled"}
    assert "wait for two people" not in text(client.get(page))
    books.all_is_well()


def test_runs_are_started_by_hand_by_who_is_sure(settings: Any) -> None:
    settings.PAYOUT_MINIMUM_FEN = 500
    (household,) = money.households(1)
    money.settle(1000)
    money.owe({household: 300})
    client, page = signed_in(), reverse("payouts:finance-runs")
    assert client.post(page, {"kind": "year_end"}).status_code == 400
    assert client.post(page, {"kind": "scheduled", "sure": "on"}).status_code == 400
    answer = client.post(page, {"kind": "by_hand", "sure": "on"}, follow=True)
    assert "Nothing can be paid now. This is what waits, and why." in text(answer)
    assert "It is less than the least that is paid out before the year's end. 1 ¥3.00" in text(answer)
    assert not Run.objects.exists()
    answer = client.post(page, {"kind": "year_end", "sure": "on"}, follow=True)
    assert "1 payout, ¥3.00 in all." in text(answer)
    assert (Run.objects.get().kind, Payout.objects.get().state) == ("year_end", "approved")
    assert "year's end, however small" in text(client.get(page))


def test_waiting_money_is_shown_by_reason() -> None:
    without = factories.household()
    (usable,) = money.households(1)
    money.owe({without: 300, usable: 500})
    said = text(signed_in().get(reverse("payouts:finance-waiting")))
    assert "2 households wait for ¥8.00 in all." in said
    assert "The household has no bank account yet: the officer enters one. 1 ¥3.00" in said
    assert "The supervised account does not hold enough yet. 1 ¥5.00" in said
    said = text(signed_in().get(reverse("payouts:finance-waiting"), {"reason": "escrow"}))
    assert usable.masked_name in said
    assert without.masked_name == usable.masked_name or without.masked_name not in said
    assert signed_in().get(reverse("payouts:finance-waiting"), {"reason": "nonsense"}).status_code == 200


def test_accounts_are_decided_on_one_page() -> None:
    (bounced,) = money.households(1)
    account = bounced.bank_accounts.get()
    accounts.bounce_account(account, reason="ACCOUNT_CLOSED 收款账户已销户")
    new = factories.account(factories.household(), approved=False)
    client, page = signed_in(), reverse("payouts:finance-accounts")
    said = text(client.get(page))
    assert "ACCOUNT_CLOSED" in said
    assert account.number not in said
    decide = [
        (account, {"decision": "put_back", "reason": ""}, 400, "bounced"),
        (account, {"decision": "nonsense"}, 400, "bounced"),
        (account, {"decision": "put_back", "reason": "the bank was wrong"}, 302, "approved"),
        (new, {"decision": "approve"}, 302, "approved"),
        (new, {"decision": "approve"}, 409, "approved"),
        (new, {"decision": "stop", "reason": "late"}, 409, "approved"),
    ]
    for one, sent, status, state in decide:
        answer = client.post(reverse("payouts:finance-account", args=[one.pk]), sent)
        assert (answer.status_code, BankAccount.objects.get(pk=one.pk).state) == (status, state), sent
    books.all_is_well()


def test_the_officer_sees_who_needs_an_account_and_stops_a_change() -> None:
    officer = factories.user(roles.OFFICER)
    bounced, changed, fine, none = (factories.household(officer) for _ in range(4))
    for household in (bounced, changed, fine):
        factories.account(household)
    accounts.bounce_account(bounced.bank_accounts.get(), reason="ACCOUNT_CLOSED")
    client = signed_in(officer)
    said = text(client.get(reverse("trees:household", args=[bounced.public_id])))
    assert "Needs a new account" in said
    assert "Needs a new account" not in text(client.get(reverse("trees:household", args=[fine.public_id])))
    change = factories.account(changed)
    listed = client.get(reverse("payouts:accounts")).content.decode()
    assert [household.public_id in listed for household in (bounced, none, changed, fine)] == [True, True, True, False]
    stop = reverse("payouts:stop-account", args=[change.pk])
    assert client.post(stop, {"reason": ""}).status_code == 400
    assert client.post(stop, {"reason": "the household called"}).status_code == 302
    change.refresh_from_db()
    assert change.state == "rejected"
    assert signed_in(factories.user(roles.OFFICER, "522631")).post(stop, {"reason": "x"}).status_code == 404
    books.all_is_well()


@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER, roles.ADMINISTRATOR])
def test_nobody_else_finds_a_run(world: tuple[Run, list[Household]], role: str) -> None:
    run, _households = world
    client, payout = signed_in(factories.user(role)), run.paid.earliest("pk")
    assert client.get(reverse("payouts:finance-run", args=[run.pk])).status_code == 404
    for name, pk in (("approve-run", run.pk), ("release-run", run.pk), ("release-payout", payout.pk)):
        page = reverse(f"payouts:finance-{name}", args=[pk])
        assert client.post(page, {"count": 4, "fen": 1601, "reason": "x"}).status_code == 404
        assert Client().post(page).status_code == 302
    assert set(run.paid.values_list("state", flat=True)) == {"held"}
    assert not Approval.objects.exists()


@pytest.mark.django_db
def test_a_run_is_compared_with_the_run_before_and_not_with_a_follow_up_that_nobody_sent() -> None:
    households = money.households(4)
    money.settle(10_000)
    money.owe(dict.fromkeys(households, 300))
    run_payouts()
    failed, *others = Payout.objects.order_by("pk")
    for payout, word in ((failed, "failed"), *((one, "succeeded") for one in others)):
        sending._begin(payout.pk)
        sending.record(payout.pk, TransferReport(payout.out_no, word))
    assert clarified(failed, row(-300, named=failed.out_no)).follow_up is not None
    money.owe({households[1]: 500})
    run_payouts()
    newest = Run.objects.latest("pk")
    assert (Run.objects.count(), newest.payouts) == (3, 1)
    # The one that had gone all the same was paid by the run before too.
    assert comparing.compare(newest).missing == comparing.Sum("", 3, 900)
    said = text(signed_in().get(reverse("payouts:finance-run", args=[newest.pk])))
    assert "Paid by the run before, not by this one 3 · ¥9.00" in said
