"""Alerts: what takes too long or cannot be right is told to people, and closes when it is well again or answered."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.messages.models import Message
from carbonsink.states import StateChange, move
from payouts import alert_kinds, alerts, clarifications, sending, statements, tasks, watching
from payouts.banks.base import Page, TransferReport
from payouts.models import Alert, BankAccount, Payout
from payouts.runs import run_payouts, why_stopped
from purchases import refunds
from purchases.gateways.base import RefundReport
from purchases.models import Refund
from purchases.orders import expire_order
from tests import factories
from tests.payouts import money
from tests.payouts.test_audit import by_hand
from tests.purchases import banking, books
from tests.standins.clients import BankClient

UNTOLD = "payouts that nobody knows about for 20 minutes, and no alert says so"
pytestmark = pytest.mark.django_db


def opened(kind: str = "") -> list[tuple[str, str, bool]]:
    """Open alerts, all or of a kind."""
    found = alerts.open_alerts().filter(kind=kind) if kind else alerts.open_alerts()
    return list(found.values_list("kind", "about", "stops"))


def begun() -> Payout:
    """A payout whose sender died in mid-call."""
    (household,) = money.households(1)
    money.settle(600)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    assert sending._begin(payout.pk) is not None
    return payout


def test_an_alert_that_stops_runs_does_so_whatever_it_says() -> None:
    money.owe({money.households(1)[0]: 3000})
    money.settle(3000)
    alerts.raise_alert("not_compared", "2026-01-01", "", stops=True)
    assert why_stopped() == alert_kinds.KINDS["not_compared"].title
    assert run_payouts().payouts == 0
    alerts.close_alerts("not_compared", "2026-01-01", reason="compared")
    assert run_payouts().payouts == 1


def test_each_kind_of_alert_that_is_raised_has_words_for_people() -> None:
    sources = [path.read_text() for path in Path(alerts.__file__).parent.rglob("*.py")]
    raised = {kind for text in sources for kind in re.findall(r'raise_alert\(\s*"(\w+)"', text)}
    raised |= {kind for text in sources for kind in re.findall(r'^ALERT = "(\w+)"', text, re.M)}
    raised |= {*watching.WATCHES, watching.UNREAD}
    assert {"case", "daily_statement", "unanswered", "report_contradicts"} <= raised
    assert raised <= set(alert_kinds.KINDS)


def test_a_payout_without_an_answer_is_told_of_after_15_minutes_until_the_bank_answers(later: Any) -> None:
    payout = begun()
    later(minutes=14)
    watching.watch()
    assert opened() == []
    later(minutes=2)
    for _turn in range(2):
        watching.watch()
        assert opened() == [("unanswered", payout.out_no, False)]
    assert "3.00" in Alert.objects.get().text
    sending.mark_unknown(payout.pk, reason="silence")
    watching.watch()
    assert len(opened()) == 1
    sending.record(payout.pk, TransferReport(payout.out_no, "succeeded"))
    watching.watch()
    assert opened() == []
    assert [change.reason for change in Alert.objects.get().history()] == ["well again"]
    books.all_is_well()


def test_a_payout_that_stays_accepted_is_told_of_after_three_days(later: Any) -> None:
    payout = begun()
    sending.record(payout.pk, TransferReport(payout.out_no, "accepted", "B1"))
    later(days=2, hours=23)
    watching.watch()
    assert opened("unanswered") == []
    later(hours=2)
    watching.watch()
    assert opened("unanswered") == [("unanswered", payout.out_no, False)]


def test_the_audit_sees_a_payout_without_an_answer_that_nobody_was_told_of() -> None:
    payout = begun()
    books.all_is_well()
    by_hand("UPDATE carbonsink_statechange SET at = now() - interval '21 minutes' WHERE to_state = 'sending'")
    assert books.found() == {UNTOLD: [payout.out_no]}
    watching.watch()
    books.all_is_well()


def test_an_account_that_was_tampered_with_is_told_of_until_it_is_itself_again() -> None:
    (household,) = money.households(1)
    money.settle(600)
    money.owe({household: 300})
    run_payouts()
    payout = Payout.objects.get()
    number = BankAccount.objects.get().number
    forged = BankAccount.objects.get()
    forged.number = "6222021234567890128"
    with_guards_off(forged)
    for _turn in range(2):
        sending.send_payout(payout.pk)
        watching.watch()
        assert opened() == [("account_tampered", payout.out_no, False)]
    forged.number = number
    with_guards_off(forged)
    watching.watch()
    assert opened() == []


def with_guards_off(account: BankAccount) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET LOCAL session_replication_role = replica")
        account.save(update_fields=["number"])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_refunds_without_an_answer_and_refused_ones_are_told_of(later: Any) -> None:
    factories.market(2)
    late = factories.order(2)
    expire_order(late)
    factories.order(2)
    factories.capture(late.payments.get())
    refund = Refund.objects.get()
    move(refund, "sending")
    later(minutes=16)
    watching.watch()
    assert opened() == [("refund_unanswered", refund.number, False)]
    move(refund, "failed", reason="NOT_ENOUGH")
    watching.watch()
    assert opened() == [("refund_refused", refund.number, False)]
    move(refund, "sending")
    refunds.book(refund, RefundReport(refund.number, "succeeded"))
    watching.watch()
    assert opened() == []
    books.all_is_well()


def test_a_late_capture_without_trees_and_without_a_refund_is_told_of(later: Any) -> None:
    factories.market(2)
    late = factories.order(2)
    expire_order(late)
    factories.order(2)
    factories.capture(late.payments.get())
    later(minutes=11)
    watching.watch()
    assert opened() == []
    refund = Refund.objects.get()
    by_hand("DELETE FROM purchases_refund")
    watching.watch()
    assert opened() == [("capture_without_trees", late.payments.get().reference, False)]
    refund.save(force_insert=True)
    watching.watch()
    assert opened() == []


def test_many_payouts_without_an_answer_are_asked_about_no_more_often_than_one(later: Any) -> None:
    counted = []
    for count in (1, 6):
        households = money.households(count)
        money.settle(300 * count)
        money.owe(dict.fromkeys(households, 300))
        run_payouts()
        for pk in sending.to_send():
            assert sending._begin(pk) is not None
        later(minutes=16)
        watching.watch()
        with CaptureQueriesContext(connection) as queries:
            watching.watch()
        counted.append(len(queries))
    assert len(opened()) == 7
    assert counted[0] == counted[1] < 25


def test_what_a_bank_tells_of_a_stranger_is_closed_by_an_answer() -> None:
    statements.take_in("standin", Page((), "", (TransferReport("NOTOURS", "succeeded"),)))
    assert opened() == [("bank_stranger", "standin:NOTOURS", False)]
    alert, finance = Alert.objects.get(), factories.user(roles.FINANCE)
    client = banking.client_of(finance)
    page = client.get("/finance/alerts/").content.decode()
    assert "The bank tells of a transfer that is not ours" in page
    assert "stand-in bank · NOTOURS" in page
    assert client.post(f"/finance/alerts/{alert.pk}/answer", {"answer": " \0"}).status_code == 400
    assert opened() == [("bank_stranger", "standin:NOTOURS", False)]
    assert client.post(f"/finance/alerts/{alert.pk}/answer", {"answer": "the bank's test"}).status_code == 302
    assert opened() == []
    change = StateChange.objects.get(thing="payouts.alert")
    assert (change.by, change.reason) == (finance, "the bank's test")
    assert "the bank&#x27;s test" in client.get("/finance/alerts/").content.decode()
    assert client.post(f"/finance/alerts/{alert.pk}/answer", {"answer": "x"}).status_code == 409


def test_no_answer_closes_what_ends_with_its_cause_only(later: Any) -> None:
    begun()
    later(minutes=16)
    watching.watch()
    client = banking.client_of(factories.user(roles.FINANCE))
    page = client.get("/finance/alerts/").content.decode()
    assert "It closes by itself once its cause is gone." in page
    assert "/answer" not in page
    refused = client.post(f"/finance/alerts/{Alert.objects.get().pk}/answer", {"answer": "I know"})
    assert refused.status_code == 409
    assert len(opened()) == 1


def test_a_statement_that_cannot_be_read_for_an_hour_is_told_of_until_it_can(
    bank: BankClient, settings: Any, later: Any
) -> None:
    tasks.sweep()
    address, settings.STANDIN_BANK_URL = settings.STANDIN_BANK_URL, "http://127.0.0.1:9"
    later(minutes=59)
    tasks.sweep()
    tasks.watch()
    assert opened() == []
    later(minutes=2)
    tasks.sweep()
    tasks.watch()
    assert opened() == [("statement_unread", "standin", False)]
    settings.STANDIN_BANK_URL = address
    tasks.sweep()
    tasks.watch()
    assert opened() == []


def test_an_unexplained_row_stops_runs_until_it_is_explained(bank: BankClient) -> None:
    (household,) = money.households(1)
    money.owe({household: 300})
    money.settle(600)
    bank.control(
        "POST", "credits", {"fen": 7, "counterparty_name": "路人甲", "remittance": "?", "reference": "stranger"}
    )
    statements.import_statement()
    row = statements.StatementRow.objects.get(kind="suspense")
    assert opened() == [("statement_unexplained", f"standin:{row.serial}", True)]
    assert run_payouts().payouts == 0
    clarifications.explain(row, by=factories.user(roles.FINANCE), reason="a gift")
    assert opened() == []
    assert run_payouts().payouts == 1
    assert not Message.objects.exists()


def test_people_are_told_once_and_daily_while_it_is_open(settings: Any, later: Any) -> None:
    settings.ALERT_MAIL_TO = ["one@example.org", "two@example.org"]
    alerts.raise_alert("bank_stranger", "a", "first")
    alerts.raise_alert("bank_stranger", "b", "second", stops=True)
    for _turn in range(2):
        tasks.watch()
        assert sorted(message.to for message in Message.objects.all()) == settings.ALERT_MAIL_TO
    mail = Message.objects.first()
    assert mail is not None
    assert all(word in mail.body for word in ("first", "second", "/finance/alerts/"))
    later(hours=23)
    alerts.raise_alert("bank_stranger", "c", "third")
    tasks.watch()
    assert Message.objects.count() == 4
    assert "first" not in Message.objects.latest("pk").body
    assert "third" in Message.objects.latest("pk").body
    later(hours=2)
    tasks.watch()
    tasks.watch()
    assert Message.objects.count() == 6
    assert all(word in Message.objects.latest("pk").body for word in ("first", "second", "third"))
    for alert in Alert.objects.all():
        alerts.answer(alert, text="done", by=factories.user(roles.FINANCE))
    later(days=3)
    tasks.watch()
    assert Message.objects.count() == 6


def test_a_mail_of_many_lists_some_and_counts_the_rest(settings: Any) -> None:
    settings.ALERT_MAIL_TO = ["one@example.org"]
    for number in range(40):
        alerts.raise_alert("bank_stranger", f"n{number:02}", f"text {number:02}")
    assert alerts.tell_people() == 40
    body = Message.objects.get().body
    assert "text 29" in body
    assert "text 30" not in body
    assert "10" in body.splitlines()[-3]


def test_nobody_to_tell_forgets_nothing(settings: Any) -> None:
    settings.ALERT_MAIL_TO = []
    alerts.raise_alert("bank_stranger", "a", "first")
    assert alerts.tell_people() == 0
    settings.ALERT_MAIL_TO = ["one@example.org"]
    assert alerts.tell_people() == 1


def test_the_number_of_open_alerts_stands_on_every_finance_page() -> None:
    client = banking.client_of(factories.user(roles.FINANCE))
    alerts.raise_alert("bank_stranger", "a", "first")
    alerts.raise_alert("a new kind", "b", "second")
    for path in ("alerts", "reconciliation", "transfers", "returns", "differences"):
        page = client.get(f"/finance/{path}/").content.decode()
        assert 'Alerts <span class="badge badge-bad">2</span>' in page
    assert timezone.now() - Alert.objects.earliest("pk").raised_at < timedelta(minutes=1)
    assert client.get("/admin/payouts/alert/").status_code == 200
