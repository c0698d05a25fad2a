"""Files that a bank debits as a whole are followed from each of their numbers to each of their payouts, and back."""

import html
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from carbonsink.accounts import roles
from payouts import clarifications, follow, follow_many, tasks
from payouts.models import Attempt, Batch, Payout, StatementRow
from tests import factories
from tests.payouts import money
from tests.payouts.clarifying import WHY, two
from tests.payouts.filing import FileBank, states
from tests.payouts.test_run_pages import signed_in
from tests.payouts.whole import closed, row, told, whole, written
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/finance/follow/"


def words(page: str) -> str:
    """What a page says, without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def found(client: Client, typed: str, **more: str) -> str:
    """The page for what was typed."""
    answer = client.get(PAGE, {"q": typed, **more})
    assert answer.status_code == 200
    return answer.text


def leads_to(page: str) -> set[str]:
    """The numbers that a page links to."""
    return set(re.findall(r'href="(?:/finance/follow/)?\?q=([0-9A-Za-z]+)"', page))


@pytest.mark.parametrize("code", ["daifa", "pain001"])
def test_each_number_of_a_file_debited_as_a_whole_leads_to_all_others(
    request: pytest.FixtureRequest, code: str
) -> None:
    bank: FileBank = request.getfixturevalue("daifa_bank" if code == "daifa" else "file_bank")
    payouts = bank.approved(300, 400, 500)
    whole(bank, "together")
    closed(bank, payouts[0])
    tasks.sweep()
    for _ in range(2):
        bank.exchange()
        tasks.sweep()
    assert states() == ["failed", "succeeded", "succeeded"]
    batch, finance = Batch.objects.get(), signed_in()
    debit, back = StatementRow.objects.filter(batch=batch).order_by("pk")
    assert (debit.fen, back.fen, back.payout) == (-1200, 300, None)
    typed = [batch.number, batch.number.upper(), batch.name, f" {batch.name.upper()} ", debit.serial, back.serial]
    for number in typed:
        page = found(finance, number)
        assert leads_to(page) == {batch.number, *(one.out_no for one in payouts)}, number
        for said in (batch.name, debit.serial, back.serial, "−¥12.00"):
            assert said in page, (number, said)
        assert "arrived 2 · ¥9.00" in words(page)
        assert "failed 1 · ¥3.00" in words(page)
        assert "Still to be given back ¥0.00" in words(page)
        assert "Several have this number" not in page
    for payout in payouts:
        assert batch.number in leads_to(found(finance, payout.out_no))
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_a_row_that_two_people_gave_to_a_file_leads_to_it_and_is_seen_with_it() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    stuck, (by, other) = row("daifa", -700), two()
    said = clarifications.propose_file(batch, stuck, why=WHY, by=by)
    finance = signed_in()
    assert leads_to(found(finance, stuck.serial)) == set()  # One person's word is none.
    assert "The statement has no debit of the file as a whole." in found(finance, batch.number)
    clarifications.agree(said, by=other)
    for payout, word in ((first, "succeeded"), (second, "failed")):
        told("daifa", payout, word)
    back = row("daifa", 400)
    clarifications.agree(clarifications.propose_file(batch, back, why=WHY, by=by), by=other)
    for number in (batch.number, stuck.serial, back.serial):
        page = found(finance, number)
        assert leads_to(page) == {batch.number, first.out_no, second.out_no}, number
        assert page.count(WHY) == 2
        assert "Said by two people" in page
        assert "to be explained" not in page
    for payout in (first, second):
        assert batch.number in leads_to(found(finance, payout.out_no))
    assert [follow.of_row(one).file for one in (stuck, back)] == [batch, batch]
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_what_gives_back_one_payout_of_a_file_leads_to_the_payout_and_from_it_to_the_file() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    row("daifa", -700, named=batch.number)
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    back = row("daifa", 300, named=first.out_no)
    assert (back.kind, back.payout, back.batch) == ("file", first, batch)
    finance = signed_in()
    page = found(finance, back.serial)
    assert first.out_no in page
    assert second.out_no not in page
    assert batch.number in leads_to(page)
    assert f"gives back {first.out_no}" in words(found(finance, batch.number))
    assert follow.of_row(back).file == batch
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_of_each_end_it_is_said_how_many_and_how_much_and_each_can_be_seen_alone() -> None:
    batch = written(100, 200, 300, 400)
    early = timezone.now() - timedelta(days=2)
    row("daifa", -1000, named=batch.number, at=early)
    arrived, failed, returned, silent = Payout.objects.order_by("pk")
    for payout, word in ((arrived, "succeeded"), (failed, "failed"), (returned, "succeeded")):
        told("daifa", payout, word)
    row("daifa", 300, named=returned.out_no)
    many = follow_many.of_file(batch)
    counted = {one.end: (one.payouts, one.fen) for one in many.counts}
    assert counted == {"arrived": (1, 100), "failed": (1, 200), "returned": (1, 300), "open": (1, 400)}
    assert (many.payouts, many.fen) == (batch.payouts, batch.fen) == (4, 1000)
    finance = signed_in()
    for end, payout in (("arrived", arrived), ("failed", failed), ("returned", returned), ("open", silent)):
        page = found(finance, batch.number, end=end)
        assert leads_to(page) == {batch.number, payout.out_no}, end
    for nothing in ("cancelled", "x", "' OR 1=1"):
        assert len(leads_to(found(finance, batch.number, end=nothing))) == 5
    # Of what the bank has not given back, the sum stands there.
    assert "Still to be given back ¥2.00" in words(found(finance, batch.number))


@pytest.mark.usefixtures("daifa")
def test_a_file_whose_number_the_bank_gives_to_all_its_payouts_is_found_before_them() -> None:
    batch, finance = written(*range(300, 325)), signed_in()
    Payout.objects.update(bank_reference=batch.number)
    page = found(finance, batch.number)
    assert "Several have this number" in page
    assert "No more than 20 are shown." in page
    which = f"file-{batch.pk}"
    assert page.index(which) < page.index("which=payout-")
    chosen = found(finance, batch.number, which=which, end="open")
    assert "not ended yet 25 · ¥78.00" in words(chosen)
    assert f'href="?q={batch.number}&amp;which={which}&amp;end=open"' in chosen


@pytest.mark.usefixtures("daifa")
def test_what_never_reached_the_bank_is_counted_where_it_was_sent_again() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    again = Batch(bank="daifa", number="again", name="again.csv", content="x", sha256="x", payouts=1, fen=300)
    again.created_at = batch.created_at
    again.save()
    batch.attempts.filter(payout=first).update(state="unsent")
    content = batch.attempts.get(payout=first).request_sha256
    Attempt.objects.create(payout=first, batch=again, request_sha256=content)
    for one, counted in ((batch, [("open", 1, 400), ("elsewhere", 1, 300)]), (again, [("open", 1, 300)])):
        many = follow_many.of_file(one)
        assert [(ended.end, ended.payouts, ended.fen) for ended in many.counts] == counted
    assert list(follow_many.of_file(batch, "open").page) == [second]
    assert leads_to(found(signed_in(), first.out_no)) >= {batch.number, again.number}


@pytest.mark.django_db(transaction=False)
@pytest.mark.usefixtures("daifa")
def test_a_page_of_a_file_asks_as_much_for_hundreds_as_for_two() -> None:
    batch, finance = written(300, 400), signed_in()

    def asked(**more: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            found(finance, batch.number, **more)
        return len(queries)

    few = asked()
    one = Payout.objects.earliest("pk")
    same = ["run_id", "household_id", "account_id", "bank", "created_at"]
    alike = {name: getattr(one, name) for name in same}
    more = Payout.objects.bulk_create(Payout(**alike, out_no=f"{n:032d}", fen=n) for n in range(1, 251))
    Payout.objects.filter(pk__in=[payout.pk for payout in more]).update(state="sending")
    Attempt.objects.bulk_create([Attempt(payout=payout, batch=batch, request_sha256="x") for payout in more])
    assert [asked(), asked(page="3"), asked(page="99"), asked(end="open"), asked(page="x")] == [few] * 5
    page = found(finance, batch.number)
    assert "252 · ¥320.75" in words(page)
    assert len(leads_to(page)) == 101
    assert f'href="?q={batch.number}&amp;which=file-{batch.pk}&amp;page=2"' in page
    last = found(finance, batch.number, page="3")
    assert len(leads_to(last)) == 53
    assert more[-1].out_no in last


@pytest.mark.usefixtures("daifa")
def test_the_pages_of_files_lead_to_each_file_and_only_finance_sees_it() -> None:
    batch, finance = written(300, 400), signed_in()
    address = f'href="{PAGE}?q={batch.number}"'
    assert address in finance.get("/finance/files/").text
    row("daifa", -700, named=batch.number)
    for role in (roles.OFFICER, roles.REVIEWER, roles.BUYER, roles.ADMINISTRATOR):
        other = Client()
        other.force_login(factories.user(role))
        assert other.get(PAGE, {"q": batch.number}).status_code == 404
    assert Client().get(PAGE, {"q": batch.number}).status_code == 302


@pytest.mark.usefixtures("daifa")
def test_the_admin_leads_from_attempts_and_rows_to_their_file_and_payout() -> None:
    batch, finance = written(300, 400), signed_in()
    debit = row("daifa", -700, named=batch.number)
    first = Payout.objects.earliest("pk")
    for model in ("attempt", "statementrow", "payout"):
        page = finance.get(reverse(f"admin:payouts_{model}_changelist"))
        number = {"attempt": batch.number, "statementrow": debit.serial, "payout": first.out_no}[model]
        assert f'href="{PAGE}?q={number}"' in page.text, model
    attempts = reverse("admin:payouts_attempt_changelist")
    for typed in (batch.number, batch.name, first.out_no):
        assert first.out_no in finance.get(attempts, {"q": typed}).text
    assert first.out_no not in finance.get(attempts, {"q": "nobody"}).text


def test_a_household_is_followed_by_its_public_id() -> None:
    finance = signed_in()
    first, second = money.households(2)
    page = found(finance, first.public_id.upper())
    assert first.masked_name in page
    assert "No payout yet." in page
    assert second.public_id not in page
