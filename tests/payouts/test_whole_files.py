"""Banks that debit a file as a whole: its payouts arrive by the bank's word, and what could not be paid comes back."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from carbonsink.errors import DomainError
from payouts import alerts, clarifications, fitting, follow, reconciliation, runs, tasks, whole_files
from payouts.models import Batch, Clarification, Discrepancy, Payout, StatementRow
from payouts.reconciliation import statement
from payouts.reconciliation.found import Look
from tests.payouts import money
from tests.payouts.clarifying import WHY, two
from tests.payouts.filing import FileBank, states
from tests.payouts.whole import closed, kinds, publish, row, told, whole, written
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.mark.parametrize("code", ["daifa", "pain001"])
def test_a_file_debited_as_a_whole_arrives(request: pytest.FixtureRequest, code: str) -> None:
    bank: FileBank = request.getfixturevalue("daifa_bank" if code == "daifa" else "file_bank")
    payouts = bank.approved(300, 400, 500)
    whole(bank, "each")
    tasks.sweep()
    bank.exchange()
    tasks.sweep()
    assert states() == ["succeeded"] * 3
    assert kinds() == [("file", -1200)]
    assert not alerts.open_alerts().exists()
    bank.agrees()
    publish()
    (leg,) = follow.of_payout(payouts[0]).legs
    assert [(one.kind, one.fen) for one in leg.rows] == [("file", -1200)]


@pytest.mark.parametrize(("back", "rows"), [("each", [300, 400]), ("together", [700])])
@pytest.mark.parametrize("fault", ["", "reverse", "twice"])
def test_what_could_not_be_paid_is_given_back_and_owed_again(
    daifa_bank: FileBank, back: str, rows: list[int], fault: str
) -> None:
    payouts = daifa_bank.approved(300, 400, 500)
    whole(daifa_bank, back)
    for payout in payouts[:2]:
        closed(daifa_bank, payout)
    tasks.sweep()
    if fault:
        daifa_bank.client.fault("exchange", fault)
    for _ in range(2):
        daifa_bank.exchange()
        tasks.sweep()
    assert [money.owed_fen(payout.household) for payout in payouts] == [300, 400, 0]
    # Where the statement is read before the results, money that names its payout is a return, and nobody knows yet of
    # what the bank gives back together.
    early = fault == "reverse"
    assert states() == ["returned" if early and back == "each" else "failed"] * 2 + ["succeeded"]
    assert alerts.stopping().exists() == (early and back == "together")
    for stuck in fitting.in_suspense():
        by, other = two()
        clarifications.agree(clarifications.propose_file(Batch.objects.get(), stuck, why=WHY, by=by), by=other)
    assert sorted(fen for _kind, fen in kinds() if fen > 0) == rows
    assert not alerts.stopping().exists()
    assert whole_files.owed_back_fen("daifa") == 0
    assert books.balances()["escrow"] == daifa_bank.client.control("GET", "balance")["balance_fen"]
    books.all_is_well()
    publish()


def test_one_that_arrived_in_a_whole_file_and_came_back_is_owed_again(daifa_bank: FileBank) -> None:
    payouts = daifa_bank.approved(300, 400)
    whole(daifa_bank, "each")
    tasks.sweep()
    daifa_bank.exchange()
    tasks.sweep()
    daifa_bank.client.control("POST", "return", {"out_no": payouts[0].out_no, "reason": "账户已销户"})
    daifa_bank.exchange()
    tasks.sweep()
    assert states()[0] == "returned"
    assert money.owed_fen(payouts[0].household) == 300
    assert whole_files.owed_back_fen("daifa") == 0
    daifa_bank.agrees()


@pytest.mark.usefixtures("daifa")
def test_a_bank_may_debit_only_what_it_can_pay() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    assert row("daifa", -400, named=batch.number).kind == "file"
    assert whole_files.owed_back_fen("daifa") == 0
    books.all_is_well()
    publish()


@pytest.mark.usefixtures("daifa")
def test_the_number_of_a_file_is_also_found_in_a_row_s_text() -> None:
    batch = written(300, 400)
    assert row("daifa", -700, said=f"代发/{batch.number.upper()}.csv").kind == "file"
    books.all_is_well()


@pytest.mark.usefixtures("daifa")
def test_nothing_is_paid_out_of_what_the_bank_has_to_give_back() -> None:
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    row("daifa", -700, named=batch.number)
    assert runs.available_fen("daifa") == 0
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    assert money.owed_fen(first.household) == 300
    assert runs.available_fen("daifa") == 0
    books.all_is_well()
    assert row("daifa", 300, named=first.out_no).kind == "file"
    assert runs.available_fen("daifa") == 300
    books.all_is_well()


@pytest.mark.parametrize(
    "wrong", ["more", "less", "unknown", "twice", "one by one", "refused", "not handed over", "another bank's"]
)
@pytest.mark.usefixtures("daifa")
def test_a_debit_that_does_not_fit_its_file_stops_the_runs(wrong: str) -> None:
    batch = written(300, 400)
    fen, number, code = -700, batch.number, "daifa"
    if wrong in ("more", "less"):
        fen += -1 if wrong == "more" else 1
    elif wrong == "unknown":
        number = "202611220230000000000000ab"
    elif wrong == "twice":
        assert row("daifa", -700, named=batch.number).kind == "file"
    elif wrong == "one by one":
        first = Payout.objects.order_by("pk")[0]
        assert row("daifa", -300, named=first.out_no).kind == "payout"
    elif wrong == "refused":
        Batch.objects.filter(pk=batch.pk).update(state="refused")
    elif wrong == "not handed over":
        Batch.objects.filter(pk=batch.pk).update(state="written")
    else:
        code = "pain001"
    assert row(code, fen, named=number).kind == "suspense"
    assert alerts.stopping().exists()


@pytest.mark.usefixtures("daifa")
def test_a_payout_of_a_whole_file_has_no_debit_of_its_own() -> None:
    batch = written(300, 400)
    row("daifa", -700, named=batch.number)
    payout = Payout.objects.order_by("pk")[0]
    single = row("daifa", -300, named=payout.out_no)
    assert single.kind == "suspense"
    assert fitting.suggestions(single) == []
    with pytest.raises(DomainError, match="debit already"):
        clarifications.propose(payout, single, why=WHY, by=two()[0])


@pytest.mark.parametrize("fen", [299, 301, 700])
@pytest.mark.usefixtures("daifa")
def test_what_comes_back_of_a_file_must_be_what_the_bank_could_not_pay(fen: int) -> None:
    batch = written(300, 400)
    row("daifa", -700, named=batch.number)
    first, second = Payout.objects.order_by("pk")
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    assert row("daifa", fen, named=batch.number).kind == "suspense"
    assert row("daifa", fen, named=first.out_no).kind == "suspense"


@pytest.mark.usefixtures("daifa")
def test_a_payout_s_money_is_given_back_once() -> None:
    batch = written(300, 300)
    row("daifa", -600, named=batch.number)
    first, second = Payout.objects.order_by("pk")
    told("daifa", first, "failed")
    told("daifa", second, "failed")
    assert row("daifa", 300, named=first.out_no).kind == "file"
    again = row("daifa", 300, named=first.out_no)
    assert again.kind == "suspense"
    with pytest.raises(DomainError, match="given back already"):
        clarifications.propose(first, again, why=WHY, by=two()[0])
    by, other = two()
    clarifications.agree(clarifications.propose(second, again, why=WHY, by=by), by=other)
    assert whole_files.owed_back_fen("daifa") == 0
    assert not alerts.stopping().exists()
    books.all_is_well()
    publish()


@pytest.mark.parametrize(("days", "stops"), [(2, False), (4, True)])
@pytest.mark.usefixtures("daifa")
def test_what_a_bank_keeps_back_is_a_difference_and_stops_the_runs_after_three_days(
    settings: Any, days: int, stops: bool
) -> None:
    settings.PAYMENT_GATEWAYS = []
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    debited = timezone.now() - timedelta(days=days)
    Payout.objects.update(completed_at=debited)
    row("daifa", -700, named=batch.number, at=debited)
    day = timezone.localdate(debited)
    reconciliation.reconcile(day)
    found = Discrepancy.objects.get(kind="file_owed")
    assert (found.reference, found.ours_fen, found.theirs_fen) == (batch.number, -400, -700)
    assert (found.unexplained, alerts.stopping().exists()) == (stops, stops)
    row("daifa", 300, named=first.out_no)
    reconciliation.reconcile(day)
    found.refresh_from_db()
    assert found.state == "resolved"
    assert not alerts.stopping().exists()


@pytest.mark.parametrize("by_people", [False, True])
@pytest.mark.usefixtures("daifa")
def test_the_bank_s_balance_agrees_on_each_day_of_a_whole_file(by_people: bool) -> None:
    """Debited the day before yesterday, told of yesterday, given back the rest of today; the sponsor paid in today."""
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    noon = timezone.localtime().replace(hour=12, minute=0)
    named = {} if by_people else {"named": batch.number}
    debit = row("daifa", -700, at=noon - timedelta(days=2), **named)
    told("daifa", first, "failed")
    told("daifa", second, "succeeded")
    Payout.objects.update(completed_at=noon - timedelta(days=1))
    back = row("daifa", 300, at=noon - timedelta(days=1), **({} if by_people else {"named": first.out_no}))
    by, other = two()
    for stuck in (debit, back) if by_people else ():
        clarifications.agree(clarifications.propose_file(batch, stuck, why=WHY, by=by), by=other)
    for ago, closing in ((3, 0), (2, -700), (1, -400), (0, 300)):
        day, look = timezone.localdate(noon - timedelta(days=ago)), Look()
        statement.compare(look, statement.Told("daifa", None, closing), day)
        assert [one for one in look.found if one.kind == "balance"] == [], ago
        wrong = Look()
        statement.compare(wrong, statement.Told("daifa", None, closing + 1), day)
        assert [one.kind for one in wrong.found if one.kind == "balance"] == ["balance"]


@pytest.mark.usefixtures("daifa")
def test_the_database_takes_one_debit_of_a_file_and_no_file_for_other_rows() -> None:
    batch = written(300, 400)
    mine = row("daifa", -700, named=batch.number)
    for broken in (
        {"batch": batch, "fen": -1, "kind": "file"},
        {"batch": batch, "fen": 1, "kind": "suspense"},
        {"batch": None, "fen": 1, "kind": "file"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            StatementRow.objects.create(
                bank="daifa", serial="X1", booked_at=timezone.now(), counterparty="", bank_reference="", **broken
            )
    with pytest.raises(IntegrityError), transaction.atomic():
        Clarification.objects.create(kind="file", row=mine, why=WHY, proposed_by=two()[0])
    with pytest.raises(Exception, match="payouts_statementrow"), transaction.atomic():
        StatementRow.objects.filter(pk=mine.pk).update(batch=None)


@pytest.mark.usefixtures("daifa")
def test_what_is_owed_back_is_told_however_late_the_result_comes(settings: Any) -> None:
    settings.PAYMENT_GATEWAYS = []
    batch = written(300, 400)
    first, second = Payout.objects.order_by("pk")
    debited = timezone.now() - timedelta(days=9)
    row("daifa", -700, named=batch.number, at=debited)
    told("daifa", second, "succeeded")
    for day in reconciliation.due_days():
        reconciliation.reconcile(day)
    assert not Discrepancy.objects.filter(kind="file_owed").exists()
    told("daifa", first, "failed")
    yesterday = timezone.localdate() - timedelta(days=1)
    reconciliation.reconcile(yesterday)
    found = Discrepancy.objects.get(kind="file_owed")
    assert (found.reconciliation.day, found.unexplained) == (yesterday, False)


@pytest.mark.usefixtures("daifa")
def test_agreeing_on_a_file_of_many_does_not_ask_for_each_of_them(settings: Any) -> None:
    settings.PAYMENT_GATEWAYS = []
    batch = written(*[300] * 12)
    early = timezone.now() - timedelta(days=2)
    for payout in Payout.objects.all():
        told("daifa", payout, "succeeded")
    Payout.objects.update(completed_at=early)
    reconciliation.reconcile(timezone.localdate(early))
    missing = Discrepancy.objects.filter(kind="debit_missing", state="open", unexplained=True)
    assert missing.count() == 12
    debit = row("daifa", -batch.fen)
    by, other = two()
    said = clarifications.propose_file(batch, debit, why=WHY, by=by)
    with CaptureQueriesContext(connection) as queries:
        clarifications.agree(said, by=other)
    assert len(queries) < 50
    assert not missing.exists()
    assert not alerts.stopping().exists()
