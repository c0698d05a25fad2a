"""What people say of rows a second time, beside others, or alone: nothing is paid twice, no row waits for ever."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone, translation

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from payouts import alerts, batches, clarifications, fitting, follow, reconciliation, sending, statements
from payouts.audit import guards
from payouts.banks.base import Movement, TransferReport
from payouts.models import BankReport, Discrepancy, Payout, Reconciliation, StatementCursor, StatementRow
from payouts.reconciliation import statement
from payouts.reconciliation.found import Look
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import filing, money
from tests.payouts.clarifying import WHY, age, clarified, left_for_good, owed_again, payout_in, row, two
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.test_leaving_trees import in_thread, waiting_for_locks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


def refused(row_: StatementRow) -> str:
    """Why one person may not book a row as the sponsor's."""
    with pytest.raises(DomainError) as error:
        clarifications.explain(row_, by=two()[0], reason="the sponsor's, then")
    assert error.value.code == "names_payout"
    return str(error.value.message)


def test_what_counts_as_paid_by_a_row_has_no_second_debit() -> None:
    payout = payout_in("failed")
    follow_up = clarified(payout, row(-300, named=payout.out_no)).follow_up
    assert follow_up is not None
    second = row(-300)
    assert fitting.suggestions(second) == []
    with pytest.raises(DomainError) as error:
        clarifications.propose(follow_up, second, why=WHY, by=two()[0])
    assert error.value.code == "does_not_fit"


def test_a_row_s_payout_is_found_among_many_of_its_amount(monkeypatch: Any) -> None:
    monkeypatch.setattr(fitting, "LOOKED_THROUGH", 1)
    payout, silent, debited = payout_in("succeeded"), payout_in("succeeded"), payout_in("succeeded")
    row(-300, named=debited.out_no)
    gone = row(-300, said=f"代发 20260102{payout.out_no.upper()} 扣款")
    assert [(one.payout, one.named) for one in fitting.suggestions(gone)] == [(payout, True), (silent, False)]
    assert payout.out_no in refused(gone)
    clarified(payout, gone)


def test_the_return_of_what_had_gone_all_the_same_is_its_follow_up_s() -> None:
    payout = payout_in("failed")
    follow_up = clarified(payout, row(-300, named=payout.out_no)).follow_up
    back = row(300, named=payout.out_no)
    assert [(one.payout, one.named) for one in fitting.suggestions(back)] == [(follow_up, True)]
    assert follow_up is not None
    assert follow_up.out_no in refused(back)
    clarified(follow_up, back)
    owed_again(payout)


def test_of_a_debit_and_its_return_the_debit_is_explained_first() -> None:
    """Many banks debit, fail and give back under one number."""
    payout = payout_in("failed")
    gone, back = row(-300, named=payout.out_no), row(300, named=payout.out_no)
    assert "Say first what that is" in refused(back)
    follow_up = clarified(payout, gone).follow_up
    assert follow_up is not None
    clarified(follow_up, back)
    owed_again(payout)


def test_a_second_debit_of_what_came_back_meanwhile_does_not_wait_for_ever() -> None:
    payout = payout_in("failed")
    follow_up = clarified(payout, row(-300, named=payout.out_no)).follow_up
    assert follow_up is not None
    clarified(follow_up, row(300))
    again = row(-300, named=payout.out_no)
    with pytest.raises(DomainError) as error:
        clarifications.propose(payout, again, why=WHY, by=two()[0])
    assert error.value.code == "does_not_fit"
    clarifications.explain(again, by=two()[0], reason="the bank's mistake")
    assert not fitting.in_suspense().exists()
    books.all_is_well()


def test_a_debit_is_not_the_sponsor_s_while_its_money_waits_to_be_paid_again() -> None:
    payout = payout_in("failed")
    run_payouts()
    again = Payout.objects.latest("pk")
    gone = row(-300, named=payout.out_no)
    assert again.out_no in refused(gone)
    sending.cancel(again, reason="released")
    clarified(payout, gone)
    left_for_good(payout)


def test_a_row_that_is_explained_is_nobody_s_any_more() -> None:
    payout, (first, second) = payout_in("succeeded"), two()
    back = row(300)
    said = clarifications.explain(back, by=first, reason="the sponsor's")
    assert said is not None
    clarifications.agree(said, by=second)
    with pytest.raises(DomainError, match="explained already"):
        clarifications.propose(payout, back, why=WHY, by=second)


def test_an_answer_to_a_day_s_row_that_a_payout_fits_waits_for_another_person() -> None:
    payout_in("succeeded")
    back, (first, second) = row(300), two()
    day = Reconciliation.objects.create(day=timezone.localdate())
    open_one = {"kind": "row_unexplained", "reference": f"standin:{back.serial}", "since": timezone.now()}
    found = day.discrepancies.create(**open_one, unexplained=True)
    assert not reconciliation.answer(found, text=WHY, by=first)
    found.refresh_from_db()
    assert found.state == "open"
    clarifications.agree(back.clarifications.get(), by=second)
    found.refresh_from_db()
    assert (found.state, found.answer, found.explained_by) == ("explained", WHY, second)


def test_money_has_not_stayed_while_a_debit_of_its_amount_waits() -> None:
    payout = payout_in("succeeded")
    age(payout)
    gone = row(-300)
    with pytest.raises(DomainError, match="Say first what that is"):
        clarifications.propose(payout, None, why=WHY, by=two()[0])
    clarified(payout, gone)
    left_for_good(payout)


def test_an_empty_folder_is_no_statement_that_was_read(settings: Any) -> None:
    settings.PAYOUT_BANK, settings.PAIN001_OUT_DIR, settings.PAIN001_IN_DIR = "pain001", "", ""
    settings.PAIN001_DEBTOR_NAME, settings.PAIN001_DEBTOR_ACCOUNT = "单株碳汇监管账户", filing.ACCOUNT
    settings.PAIN001_DEBTOR_BANK_CODE = "102100000021"
    (household,) = money.households(1)
    money.settle(2_000, bank="pain001")
    money.owe({household: 300})
    run_payouts()
    batches.send_approved("pain001")
    payout, (first, _second) = Payout.objects.get(), two()
    sending.record(payout.pk, TransferReport(payout.out_no, "succeeded"))
    Payout.objects.update(completed_at=timezone.now() - timedelta(days=2))
    statements.import_statement("pain001")
    assert StatementCursor.objects.get(bank="pain001").read_at is not None
    with pytest.raises(DomainError, match="may still come"):
        clarifications.propose(payout, None, why=WHY, by=first)
    report = {"bank": "pain001", "name": "day.xml", "content": "", "reports": 0, "movements": 0}
    BankReport.objects.create(**report, kind="pain.002", sha256="a" * 64)
    with pytest.raises(DomainError, match="may still come"):
        clarifications.propose(payout, None, why=WHY, by=first)
    BankReport.objects.create(**report, kind="camt.053", sha256="b" * 64)
    assert clarifications.propose(payout, None, why=WHY, by=first).state == "proposed"


def differing_day() -> tuple[Reconciliation, Discrepancy, Discrepancy]:
    day = Reconciliation.objects.create(day=timezone.localdate())
    made = {"kind": "balance", "ours_fen": 1, "theirs_fen": 2, "unexplained": True, "since": timezone.now()}
    found = [day.discrepancies.create(**made, reference=f"standin:{one}") for one in "ab"]
    reconciliation.conclude(day)
    return day, found[0], found[1]


def test_an_answer_waits_for_a_comparison_and_does_not_hold_it_up() -> None:
    day, one, other = differing_day()
    by = two()[0]
    reconciliation.answer(other, text=WHY, by=by)
    with transaction.atomic():
        Reconciliation.objects.select_for_update().get(pk=day.pk)  # As a comparison does.
        answering = in_thread(lambda: reconciliation.answer(one, text=WHY, by=by))
        wait_for(lambda: waiting_for_locks() or not answering.is_alive())
        Discrepancy.objects.select_for_update(nowait=True).get(pk=one.pk)
    answering.join(20)
    one.refresh_from_db()
    assert one.state == "explained"


def test_two_who_answer_a_day_at_once_leave_no_alert() -> None:
    day, one, other = differing_day()
    first, second = two()
    assert alerts.stopping().exists()
    with transaction.atomic():
        reconciliation.answer(one, text=WHY, by=first)
        answering = in_thread(lambda: reconciliation.answer(other, text=WHY, by=second))
        wait_for(lambda: waiting_for_locks() or not answering.is_alive())
    answering.join(20)
    day.refresh_from_db()
    assert day.state == "matched"
    assert not alerts.stopping().exists()


def test_a_debit_that_people_found_is_not_missing_any_more() -> None:
    payout, day = payout_in("succeeded"), Reconciliation.objects.create(day=timezone.localdate())
    gone = row(-300)
    for kind, reference in (("row_unexplained", f"standin:{gone.serial}"), ("debit_missing", payout.out_no)):
        day.discrepancies.create(kind=kind, reference=reference, unexplained=True, since=timezone.now())
    reconciliation.conclude(day)
    clarified(payout, gone)
    assert list(Discrepancy.objects.values_list("state", flat=True)) == ["explained", "explained"]
    left_for_good(payout)


def test_a_day_s_sums_have_a_clarified_row_where_it_belongs() -> None:
    payout = payout_in("failed")
    gone, look = row(-300, named=payout.out_no), Look()
    clarified(payout, gone)
    theirs = Movement(gone.serial, gone.booked_at, -300, "某人", "", payout.out_no, gone.serial)
    statement.compare(look, statement.Told("standin", [theirs], None), timezone.localdate(gone.booked_at))
    assert look.sums["paid_out"] == {"ledger": -300, "bank": -300}
    assert look.sums["unknown"] == {"ledger": 0, "bank": 0}


def said_of(chain: follow.Chain) -> list[tuple[Payout, list[StatementRow | None]]]:
    """The payouts of a chain, and the rows that people have given to each."""
    return [(leg.payout, [said.row for said in leg.clarified]) for leg in chain.legs]


def test_a_clarified_row_is_followed_to_its_payout_and_back() -> None:
    payout = payout_in("failed")
    gone = row(-300, named=payout.out_no)
    assert follow.of_row(gone).legs == []
    follow_up = clarified(payout, gone).follow_up
    assert follow_up is not None
    for chain in (follow.of_row(gone), follow.of_payout(payout)):
        assert said_of(chain) == [(payout, []), (follow_up, [gone])]
    finance = Client(headers={"accept-language": "en"})
    finance.force_login(factories.user(roles.FINANCE))
    page = finance.get("/finance/follow/", {"q": gone.serial}).text
    assert follow_up.out_no in page
    other = payout_in("succeeded")
    back = row(300)
    clarified(other, back)
    assert said_of(follow.of_payout(other)) == [(other, [back])]


def test_the_audit_knows_every_trigger_that_refuses_changes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgfoid = 'carbonsink_refuse_change'::regproc")
        names = {name for (name,) in cursor.fetchall()}
    assert "payouts_clarification_final" in names
    (known,) = guards.CHECKS.values()
    assert {name for name in names if name.startswith("payouts_") and f"'{name}'" not in known} == set()
