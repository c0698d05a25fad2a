"""Payouts by files through a front-end machine: each arrives once, whatever is crashed, refused or told twice."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from carbonsink.accounts import roles
from payouts import approvals, batches, sending, tasks
from payouts.banks import folder
from payouts.models import Alert, Attempt, BankReport, Batch, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import filing, money
from tests.payouts.filing import FileBank, states
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)


def alerts() -> list[tuple[str, bool]]:
    return list(Alert.objects.filter(state="open").order_by("pk").values_list("kind", "stops"))


def test_payouts_go_in_one_file_and_arrive(file_bank: FileBank) -> None:
    payouts = file_bank.approved(300, 1250, 4999)
    tasks.sweep()
    batch = Batch.objects.get()
    assert states() == ["sending"] * 3
    assert (batch.state, batch.payouts, batch.fen) == ("delivered", 3, 6549)
    assert file_bank.files() == [batch.name]
    assert (file_bank.out / batch.name).read_bytes() == batch.data
    assert batch.number.isalnum()
    assert len(batch.number) <= 32
    assert set(Attempt.objects.values_list("batch", "state")) == {(batch.pk, "sending")}
    tasks.sweep()  # Nobody asks, and nothing is sent again.
    assert (states(), Attempt.objects.count(), Batch.objects.count()) == (["sending"] * 3, 3, 1)
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["succeeded"] * 3
    assert all(payout.statement_rows.get().fen == -payout.fen for payout in payouts)
    file_bank.agrees()
    assert alerts() == []
    assert {path.parent.name for path in file_bank.back.rglob("*.xml")} <= {"in", "read"}
    tasks.sweep()
    assert [path.name for path in file_bank.back.iterdir()] == ["read"]


def test_more_than_a_file_holds_go_in_several(file_bank: FileBank, settings: Any) -> None:
    settings.PAIN001_AT_ONCE = 2
    file_bank.approved(100, 200, 300, 400, 500)
    tasks.sweep()
    assert list(Batch.objects.order_by("pk").values_list("payouts", "fen")) == [(2, 300), (2, 700), (1, 500)]
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["succeeded"] * 5
    file_bank.agrees()


def test_the_task_of_a_run_hands_its_file_over(file_bank: FileBank) -> None:
    (household,) = money.households(1)
    file_bank.fund(300)
    money.owe({household: 300})
    tasks.run_payouts()
    assert states() == ["sending"]
    assert file_bank.files() == [Batch.objects.get().name]


def test_sweeps_at_once_write_one_file(file_bank: FileBank) -> None:
    file_bank.approved(*[300] * 6)
    assert at_once(*[lambda: batches.send_approved("pain001")] * 5, tasks.sweep).count(None) == 1
    assert Batch.objects.get().payouts == 6
    assert Attempt.objects.count() == 6


@pytest.mark.parametrize("fault", ["twice", "reverse", "late"])
def test_answers_twice_in_reverse_order_and_late_pay_once(file_bank: FileBank, fault: str) -> None:
    file_bank.approved(300, 400)
    tasks.sweep()
    file_bank.client.fault("exchange", fault)
    file_bank.exchange()
    tasks.sweep()
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["succeeded"] * 2
    file_bank.agrees()
    assert alerts() == []


def test_a_file_that_the_bank_takes_twice_pays_once(file_bank: FileBank) -> None:
    file_bank.approved(300)
    tasks.sweep()
    content = Batch.objects.get().data
    file_bank.exchange()
    (file_bank.out / "again.xml").write_bytes(content)
    assert file_bank.exchange()["taken"] == ["again.xml"]
    tasks.sweep()
    assert states() == ["succeeded"]
    file_bank.agrees()


def test_a_rejected_transfer_fails_and_the_others_arrive(file_bank: FileBank) -> None:
    payouts = file_bank.approved(300, 400)
    closed = {"account": payouts[0].account.number, "state": "closed"}
    file_bank.client.control("POST", "accounts", closed)
    tasks.sweep()
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["failed", "succeeded"]
    assert payouts[0].history().last().reason.startswith("AC04")  # type: ignore[union-attr]
    assert [payout.account.state for payout in Payout.objects.order_by("pk")] == ["bounced", "approved"]
    assert money.owed_fen(payouts[0].household) == 300
    file_bank.agrees()


def test_a_return_comes_back_and_is_owed_again(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    tasks.sweep()
    file_bank.exchange()
    tasks.sweep()
    file_bank.client.control("POST", "return", {"out_no": payout.out_no, "reason": "账户已销户"})
    file_bank.exchange()
    tasks.sweep()
    assert states()[0] == "returned"
    assert money.owed_fen(payout.household) == 300
    file_bank.agrees()


def test_a_refused_file_fails_all_of_it_once(file_bank: FileBank) -> None:
    payouts = file_bank.approved(300, 400)
    tasks.sweep()
    file_bank.client.fault("exchange", "refuse")
    file_bank.exchange()
    tasks.read_statement("pain001")
    assert states() == ["failed"] * 2
    assert Batch.objects.get().state == "refused"
    assert [money.owed_fen(one.household) for one in payouts] == [300, 400]
    assert alerts() == [("batch_refused", False)]
    run_payouts()
    assert states() == ["failed"] * 2 + ["held"] * 2  # Two people look first.
    two = [factories.user(roles.FINANCE) for _ in range(2)]
    for payout in Payout.objects.filter(state="held"):
        for person in two:
            approvals.approve_held(payout, by=person)
    tasks.sweep()
    file_bank.exchange()
    tasks.sweep()
    assert states() == ["failed"] * 2 + ["succeeded"] * 2
    file_bank.agrees()


def test_a_file_refused_as_known_is_not_taken_for_failed(file_bank: FileBank) -> None:
    file_bank.approved(300)
    tasks.sweep()
    file_bank.client.fault("exchange", "refuse_as_known")
    file_bank.exchange()
    tasks.read_statement("pain001")
    assert states() == ["succeeded"]  # The statement showed it; the refusal alone would have left it open.
    assert alerts() == [("batch_refused", False)]
    file_bank.agrees()


def test_another_amount_is_never_taken_for_success(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    tasks.sweep()
    batch = Batch.objects.get()
    file_bank.lay("r.xml", filing.report(batch, (payout.out_no, "ACSC"), fen={payout.out_no: 301}))
    tasks.read_statement("pain001")
    assert states() == ["sending"]
    assert alerts() == [("report_contradicts", True)]
    assert books.balances()["transit"] == -300


def test_an_account_that_changed_is_cancelled_and_the_others_go(file_bank: FileBank) -> None:
    first, _second = file_bank.approved(300, 400)
    factories.account(first.household)
    tasks.sweep()
    assert states() == ["cancelled", "sending"]
    assert (Batch.objects.get().payouts, Batch.objects.get().fen) == (1, 400)
    assert money.owed_fen(first.household) == 300
    assert first.account.number.encode() not in Batch.objects.get().data


def test_an_account_that_somebody_altered_is_not_paid(file_bank: FileBank) -> None:
    first, _second = file_bank.approved(300, 400)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payouts_bankaccount SET number = (SELECT number FROM payouts_bankaccount WHERE household_id <> %s"
            " LIMIT 1) WHERE household_id = %s",
            [first.household_id, first.household_id],
        )
    for _ in range(2):
        tasks.sweep()
    assert states() == ["approved", "sending"]
    assert alerts() == [("account_tampered", False)]
    assert Batch.objects.get().payouts == 1


def test_settings_that_make_no_valid_file_write_none(file_bank: FileBank, settings: Any) -> None:
    file_bank.approved(300)
    settings.PAIN001_DEBTOR_NAME = ""
    tasks.sweep()
    assert (states(), Batch.objects.count(), file_bank.files()) == (["approved"], 0, [])
    assert alerts() == [("batch_refused", False)]
    settings.PAIN001_DEBTOR_NAME = "单株碳汇监管账户"
    tasks.sweep()
    assert states() == ["sending"]


def test_silence_is_an_alert_and_never_a_second_file(file_bank: FileBank, later: Any) -> None:
    file_bank.approved(300)
    tasks.sweep()
    later(hours=23)
    tasks.sweep()
    assert alerts() == []
    later(hours=2)
    for _ in range(2):
        tasks.sweep()
    assert alerts() == [("file_unanswered", False)]
    later(days=30)
    tasks.sweep()
    assert (states(), Batch.objects.count(), Attempt.objects.count()) == (["sending"], 1, 1)
    assert file_bank.files() == [Batch.objects.get().name]
    file_bank.exchange()
    tasks.sweep()
    assert (states(), alerts()) == (["succeeded"], [])


def test_no_one_by_one_door_sends_or_asks_what_goes_by_file(file_bank: FileBank, later: Any) -> None:
    (payout,) = file_bank.approved(300)
    tasks.send_payout(payout.pk)
    assert (states(), Attempt.objects.count()) == (["approved"], 0)
    tasks.sweep()
    later(days=3)
    tasks.send_payout(payout.pk)
    payout.refresh_from_db()
    sending.ask_bank(payout)
    assert (sending.to_ask(), sending.to_send()) == ([], [])
    assert (states(), Attempt.objects.count(), Attempt.objects.get().state) == (["sending"], 1, "sending")


def test_a_report_is_read_once_whatever_its_name(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    tasks.sweep()
    content = filing.report(Batch.objects.get(), (payout.out_no, "ACCC"))
    for name in ("a.xml", "b.xml", "a.xml"):
        file_bank.lay(name, content)
        tasks.sweep()
    tasks.sweep()
    assert states() == ["succeeded"]
    assert BankReport.objects.filter(kind="pain.002").count() == 1
    assert BankReport.objects.latest("pk").read_at <= timezone.now()
    assert [path.name for path in file_bank.back.iterdir()] == ["read"]


def test_a_broken_file_is_set_aside_and_keeps_no_other_waiting(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    tasks.sweep()
    content = filing.report(Batch.objects.get(), (payout.out_no, "ACCC"))
    file_bank.lay("1.xml", content[:-20])
    file_bank.lay("2.xml", content, age_seconds=500)
    for _ in range(2):
        tasks.sweep()
    assert states() == ["succeeded"]
    assert alerts() == [("bank_file_unreadable", False)]
    assert (file_bank.back / "failed" / "1.xml").read_bytes() == content[:-20]


def test_a_file_that_is_still_being_written_waits(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    tasks.sweep()
    content = filing.report(Batch.objects.get(), (payout.out_no, "ACCC"))
    path = file_bank.lay("1.xml", content[:-20], age_seconds=0)
    tasks.sweep()
    assert (states(), alerts(), path.exists()) == (["sending"], [], True)
    path.write_bytes(content)
    tasks.sweep()
    assert (states(), alerts()) == (["succeeded"], [])


def test_a_missing_folder_stops_nothing_else(file_bank: FileBank, tmp_path: Path, settings: Any) -> None:
    file_bank.approved(300)
    there, settings.PAIN001_OUT_DIR = settings.PAIN001_OUT_DIR, str(tmp_path / "nowhere")
    settings.PAIN001_IN_DIR = str(tmp_path / "nowhere")
    tasks.sweep()
    assert (states(), Batch.objects.get().state) == (["sending"], "written")
    settings.PAIN001_OUT_DIR = there
    tasks.sweep()
    assert Batch.objects.get().state == "delivered"
    assert file_bank.files() == [Batch.objects.get().name]


def test_another_file_of_the_name_is_never_overwritten(file_bank: FileBank) -> None:
    file_bank.approved(300)
    assert batches.send_approved("pain001") == 1
    batch = Batch.objects.get()
    assert not folder.stage(str(file_bank.out), batch.name, batch.data)  # Handed over already: not again.
    (file_bank.out / batch.name).write_bytes(b"somebody else's")
    with pytest.raises(folder.OtherContent):
        folder.stage(str(file_bank.out), batch.name, batch.data)
    assert file_bank.files() == [batch.name]
    assert (file_bank.out / batch.name).read_bytes() == b"somebody else's"


def test_a_file_takes_as_many_statements_for_many_payouts_as_for_few(file_bank: FileBank) -> None:
    counted = []
    for amounts in ([300], [300] * 8):
        file_bank.approved(*amounts)
        with CaptureQueriesContext(connection) as queries:
            assert batches.send_approved("pain001") == len(amounts)
        counted.append(len(queries))
    assert counted[0] == counted[1] < 30
