"""Finance's page of rows to explain, through the door finance takes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from payouts import fitting
from payouts.models import Clarification, Payout
from tests import factories
from tests.payouts import money
from tests.payouts.test_clarifications import WHY, age, payout_in, row
from tests.payouts.test_run_pages import signed_in, text
from tests.payouts.whole import row as file_row
from tests.payouts.whole import told, written
from tests.purchases import books

pytestmark = pytest.mark.django_db

PAGE = "/finance/rows/"


def say(client: Client, pk: int, what: str = "payout", **said: str) -> Any:
    return client.post(reverse(f"payouts:finance-row-{what}", args=[pk]), {"reason": WHY, **said})


def answer(client: Client, **said: str) -> Any:
    (waiting,) = Clarification.objects.filter(state="proposed")
    return client.post(reverse("payouts:finance-answer-clarification", args=[waiting.pk]), said)


def test_a_return_is_named_by_one_and_confirmed_by_another() -> None:
    payout = payout_in("succeeded")
    back = row(300, said=f"退票 {payout.out_no}")
    first, second = signed_in(), signed_in()
    shown = text(first.get(PAGE))
    assert f"退票 {payout.out_no}" in shown
    assert "named by the row" in shown
    assert "Rows to explain 1" in shown  # The navigation counts it.
    assert say(first, back.pk, suggested=payout.out_no).status_code == 302
    assert "Somebody else confirms what you have said." in text(first.get(PAGE))
    assert answer(first, agree="1").status_code == 403
    assert "the household is owed the money again" in text(second.get(PAGE))
    assert answer(second, agree="1").status_code == 302
    payout.refresh_from_db()
    assert (payout.state, money.owed_fen(payout.household)) == ("returned", 300)
    done = text(second.get(PAGE))
    assert "Every row of the statement is explained." in done
    assert WHY in done


def test_a_number_that_was_typed_counts_more_than_a_suggestion() -> None:
    payout, other = payout_in("succeeded"), payout_in("succeeded")
    back = row(300, said=payout.out_no)
    typed = " ".join(other.out_no.upper()[at : at + 4] for at in range(0, 32, 4))
    assert say(signed_in(), back.pk, suggested=payout.out_no, out_no=typed).status_code == 302
    assert Clarification.objects.get().payout == other


@pytest.mark.parametrize(
    ("said", "status", "sentence"),
    [
        ({}, 400, "Choose a payout or a file, or type its number."),
        ({"out_no": "0" * 32}, 404, "There is no payout and no file of this number."),
        ({"out_no": "x" * 41}, 400, "Write how you know."),
        ({"suggested": "its", "reason": ""}, 400, "Write how you know."),
        ({"suggested": "its", "reason": "x" * 201}, 400, "Write how you know."),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_noted(said: dict[str, str], status: int, sentence: str) -> None:
    payout = payout_in("succeeded")
    if said.get("suggested") == "its":
        said = {**said, "suggested": payout.out_no}
    found = say(signed_in(), row(300).pk, **said)
    assert found.status_code == status
    assert sentence in text(found)
    assert not Clarification.objects.exists()


def test_what_does_not_fit_is_said_on_the_page() -> None:
    payout = payout_in("succeeded")
    found = say(signed_in(), row(299).pk, out_no=payout.out_no)
    assert found.status_code == 409
    assert "The payout is of another amount, or at another bank." in text(found)


@pytest.mark.usefixtures("daifa")
def test_a_row_of_a_whole_file_is_named_by_one_and_confirmed_by_another() -> None:
    batch = written(300, 400)
    debit = file_row("daifa", -700)
    first, second = signed_in(), signed_in()
    shown = text(first.get(PAGE))
    assert "Is it the debit of one of these files?" in shown
    assert batch.name in shown
    assert say(first, debit.pk, suggested=batch.number).status_code == 302
    assert "says that this is the debit of a whole file" in text(second.get(PAGE))
    assert answer(second, agree="1").status_code == 302
    for payout in Payout.objects.all():
        told("daifa", payout, "failed")
    back = file_row("daifa", 700)
    assert "Could the bank not pay this of one of these files?" in text(first.get(PAGE))
    assert say(first, back.pk, out_no=batch.name).status_code == 302
    assert "gives back what it could not pay of a file" in text(second.get(PAGE))
    assert answer(second, agree="1").status_code == 302
    done = text(second.get(PAGE))
    assert "Every row of the statement is explained." in done
    assert done.count(batch.name) == 2
    books.all_is_well()
    assert say(first, back.pk, out_no=batch.number).status_code == 409


@pytest.mark.usefixtures("daifa")
def test_what_the_bank_keeps_back_is_listed_and_counts_as_paid_when_it_had_arrived() -> None:
    batch = written(300)
    early = timezone.now() - timedelta(days=2)
    file_row("daifa", -300, named=batch.number, at=early)
    payout = Payout.objects.get()
    told("daifa", payout, "failed")
    first, second = signed_in(), signed_in()
    assert "The household has the money" not in text(first.get(PAGE))
    Payout.objects.update(completed_at=early)
    assert "The household has the money" in text(first.get(PAGE))
    page = reverse("payouts:finance-without-row", args=[payout.pk])
    assert first.post(page, {"reason": WHY}).status_code == 302
    assert "says that the household has the money" in text(second.get(PAGE))
    assert answer(second, agree="1").status_code == 302
    assert money.owed_fen(payout.household) == 0
    assert Payout.objects.latest("pk").state == "succeeded"
    books.all_is_well()


def test_what_is_not_agreed_waits_again() -> None:
    payout, back = payout_in("succeeded"), row(300)
    client = signed_in()
    say(client, back.pk, out_no=payout.out_no)
    assert answer(signed_in(), withdraw="1").status_code == 302
    assert "Did one of these payouts come back?" in text(client.get(PAGE))
    assert say(client, back.pk, "sponsor").status_code == 302
    assert books.balances()["sponsor"] == -1_700
    other = signed_in()
    assert "says that this is the sponsor's" in text(other.get(PAGE))
    assert answer(other, agree="1").status_code == 302
    assert books.balances()["sponsor"] == -2_000
    assert "the row is the sponsor's" in text(other.get(PAGE))
    assert say(client, back.pk, "sponsor", reason="").status_code == 400


def test_what_never_left_is_listed_and_owed_again() -> None:
    payout = payout_in("succeeded")
    age(payout)
    first, second = signed_in(), signed_in()
    assert "has not debited them" in text(first.get(PAGE))
    page = reverse("payouts:finance-without-row", args=[payout.pk])
    assert first.post(page, {"reason": ""}).status_code == 400
    assert first.post(page, {"reason": WHY}).status_code == 302
    assert "never left the account" in text(second.get(PAGE))
    assert answer(second, agree="1").status_code == 302
    assert money.owed_fen(payout.household) == 300
    assert first.post(page, {"reason": WHY}).status_code == 409


@pytest.mark.parametrize("role", [roles.OFFICER, roles.REVIEWER, roles.BUYER, roles.ADMINISTRATOR])
def test_nobody_else_says_anything_of_rows(role: str) -> None:
    payout = payout_in("succeeded")
    back = row(300)
    say(signed_in(), back.pk, out_no=payout.out_no)
    client = signed_in(factories.user(role))
    before = books.lines()
    for answered in (
        client.get(PAGE),
        say(client, back.pk, out_no=payout.out_no),
        say(client, back.pk, "sponsor"),
        client.post(reverse("payouts:finance-without-row", args=[payout.pk]), {"reason": WHY}),
        answer(client, agree="1"),
    ):
        assert answered.status_code in (403, 404)  # What is not theirs does not exist for them.
    assert books.lines() == before
    assert Payout.objects.get().state == "succeeded"


def queries_of_the_page(client: Client) -> int:
    client.get(PAGE)
    with CaptureQueriesContext(connection) as asked:
        client.get(PAGE)
    return len(asked)


def test_a_row_s_suggestions_cost_the_same_for_few_and_for_many_payouts_of_its_amount() -> None:
    client = signed_in()
    for _ in range(fitting.SUGGESTED):
        payout_in("succeeded")
    row(300)
    few = queries_of_the_page(client)
    for _ in range(5):
        payout_in("succeeded")
    assert queries_of_the_page(client) == few
