"""What a bank says that does not fit: an alert each time, and never a success, a second payment or a lost one."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from carbonsink.errors import DomainError
from carbonsink.messages.models import Message
from payouts import batches, clarifications, sending, tasks
from payouts.models import Alert, BankReport, Batch, Payout
from tests import factories
from tests.payouts import filing, money, whole
from tests.payouts.filing import FileBank, states
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)


def hand_in(content: bytes, code: str = "pain001") -> dict[str, int]:
    """Finance uploads a file; what came of it, without zeros."""
    outcome = batches.read_file(code, "bank.xml", content, by=factories.user(roles.FINANCE))
    return {name: count for name, count in vars(outcome).items() if count}


def alerts() -> list[tuple[str, str, bool]]:
    return list(Alert.objects.filter(state="open").order_by("pk").values_list("kind", "about", "stops"))


def sent(file_bank: FileBank, *amounts: int) -> tuple[Batch, list[Payout]]:
    payouts = file_bank.approved(*amounts)
    batches.send_approved("pain001")
    return Batch.objects.get(), payouts


def test_each_row_of_a_file_counts_as_what_came_of_it(file_bank: FileBank) -> None:
    batch, (a, b, c, _d) = sent(file_bank, 300, 400, 500, 600)
    rows = [(a.out_no, "ACSC"), (b.out_no, "RJCT:AC04"), (c.out_no, "ACSP"), ("f" * 32, "ACSC")]
    assert hand_in(filing.report(batch, *rows)) == {"arrived": 1, "failed": 1, "accepted": 1, "unknown": 1}
    assert states() == ["succeeded", "failed", "accepted", "sending"]
    assert alerts() == [("bank_stranger", "pain001 bank.xml", False)]
    report = BankReport.objects.latest("pk")
    assert (report.reports, report.movements, report.read_by is not None) == (4, 0, True)


def test_the_same_file_again_does_nothing(file_bank: FileBank) -> None:
    batch, (payout,) = sent(file_bank, 300)
    content = filing.report(batch, (payout.out_no, "ACSC"))
    hand_in(content)
    before = books.lines()
    assert hand_in(content) == {"known": True}
    assert books.lines() == before
    assert hand_in(filing.report(batch, (payout.out_no, "ACSC"))) == {"unchanged": 1}  # Said twice, by two files.
    assert books.lines() == before
    assert alerts() == []


def test_a_failure_that_is_said_to_have_arrived_later_stops_runs(file_bank: FileBank) -> None:
    batch, (payout,) = sent(file_bank, 300)
    hand_in(filing.report(batch, (payout.out_no, "RJCT:AC04")))
    assert (states(), money.owed_fen(payout.household)) == (["failed"], 300)
    before = books.lines()
    assert hand_in(filing.report(batch, (payout.out_no, "ACSC"))) == {"doubtful": 1}
    assert states() == ["failed"]
    assert books.lines() == before
    assert alerts() == [("report_contradicts", payout.out_no, True)]
    tasks.run_payouts()
    assert Payout.objects.count() == 1  # Nothing more goes to anybody before a person has answered.


def test_an_arrival_that_is_said_to_have_failed_later_stays_one(file_bank: FileBank) -> None:
    batch, (payout,) = sent(file_bank, 300)
    hand_in(filing.report(batch, (payout.out_no, "ACSC")))
    assert hand_in(filing.report(batch, (payout.out_no, "RJCT:AC04"))) == {"doubtful": 1}
    assert (states(), money.owed_fen(payout.household)) == (["succeeded"], 0)
    assert alerts() == [("report_contradicts", payout.out_no, False)]


@pytest.mark.parametrize("status", ["ACSC", "ACSP", "RJCT"])
def test_another_amount_than_ours_is_believed_in_nothing(file_bank: FileBank, status: str) -> None:
    batch, (payout,) = sent(file_bank, 300)
    content = filing.report(batch, (payout.out_no, status), fen={payout.out_no: 299})
    assert hand_in(content) == {"doubtful": 1}
    assert (states(), money.owed_fen(payout.household)) == (["sending"], 0)
    assert alerts() == [("report_contradicts", payout.out_no, status == "ACSC")]


def test_a_report_of_a_cancelled_payout_is_an_alert(file_bank: FileBank) -> None:
    first, _second = file_bank.approved(300, 400)
    sending.cancel(first, reason="by hand")
    batches.send_approved("pain001")
    assert hand_in(filing.report(Batch.objects.get(), (first.out_no, "ACSC"))) == {"doubtful": 1}
    assert states() == ["cancelled", "sending"]
    assert alerts() == [("report_contradicts", first.out_no, True)]


def test_a_report_of_a_payout_that_was_not_sent_yet_is_an_alert(file_bank: FileBank) -> None:
    (payout,) = file_bank.approved(300)
    batch = Batch(number="nobodys")
    assert hand_in(filing.report(batch, (payout.out_no, "ACSC"))) == {"doubtful": 1, "unknown": 1}
    assert states() == ["approved"]


def test_totals_that_are_not_ours_are_not_applied(file_bank: FileBank) -> None:
    batch, _payouts = sent(file_bank, 300, 400)
    for more in ({"count": 3}, {"total": "7.01"}):
        hand_in(filing.report(batch, group="RJCT:FF01", kind="08", **more))
        assert states() == ["sending"] * 2
    assert [kind for kind, _, _ in alerts()] == ["batch_refused"]
    hand_in(filing.report(batch, group="ACSC", kind="08", count=2, total="7.00"))
    assert states() == ["accepted"] * 2  # Of the whole, no more than that is believed.


def test_a_whole_file_refused_after_one_of_it_arrived_is_an_alert(file_bank: FileBank) -> None:
    batch, (a, _b) = sent(file_bank, 300, 400)
    hand_in(filing.report(batch, (a.out_no, "ACSC")))
    hand_in(filing.report(batch, group="RJCT:FF01"))
    assert states() == ["succeeded", "sending"]
    assert alerts() == [("batch_refused", batch.number, False)]


def test_a_report_for_another_bank_is_a_stranger(file_bank: FileBank, settings: Any) -> None:
    _batch, (payout,) = sent(file_bank, 300)
    text = f"备注,处理状态\n{payout.out_no},成功\n".encode("gb18030")
    assert hand_in(text, "daifa") == {"unknown": 1}
    assert states() == ["sending"]


def test_a_file_that_cannot_be_read_leaves_nothing_behind(file_bank: FileBank) -> None:
    batch, (payout,) = sent(file_bank, 300)
    before = BankReport.objects.count()
    content = filing.report(batch, (payout.out_no, "ACSC"))
    with pytest.raises(DomainError):
        hand_in(content[:-9])
    with pytest.raises(DomainError):
        batches.read_file("standin", "x", content, by=factories.user(roles.FINANCE))
    assert (states(), BankReport.objects.count(), alerts()) == (["sending"], before, [])


@pytest.mark.parametrize("fen", [-300, 300])
def test_a_row_of_a_payout_whose_file_nobody_has_had_yet_is_unexplained(
    file_bank: FileBank, settings: Any, fen: int
) -> None:
    out, settings.PAIN001_OUT_DIR = settings.PAIN001_OUT_DIR, ""
    batch, (payout,) = sent(file_bank, 300)
    assert batch.state == "written"
    found = whole.row("pain001", fen, named=payout.out_no)
    assert (found.kind, found.payout) == ("suspense", None)
    assert (states(), money.owed_fen(payout.household)) == (["sending"], 0)
    assert alerts() == [("statement_unexplained", f"pain001:{found.serial}", True)]
    assert not Message.objects.exists()  # The household is told nothing.
    with pytest.raises(DomainError) as error:
        clarifications.propose(payout, found, why="so the bank", by=factories.user(roles.FINANCE))
    assert error.value.code == "does_not_fit"
    # Once it was handed over, the bank's row is believed.
    settings.PAIN001_OUT_DIR = out
    batches.send_approved("pain001")
    assert whole.row("pain001", -300, named=payout.out_no).kind == "payout"
    assert states() == ["succeeded"]


def test_a_debit_of_the_statement_for_a_failed_payout_stops_runs(file_bank: FileBank) -> None:
    batch, (payout,) = sent(file_bank, 300)
    hand_in(filing.report(batch, (payout.out_no, "RJCT:AC04")))
    file_bank.exchange()
    tasks.read_statement("pain001")
    assert states() == ["failed"]
    assert books.balances()["suspense"] == 300
    tasks.run_payouts()
    assert Payout.objects.count() == 1


@pytest.mark.parametrize("status", ["ACSC", "ACSP"])
def test_a_refused_file_that_is_said_to_go_after_all_stops_runs(file_bank: FileBank, status: str) -> None:
    batch, _payouts = sent(file_bank, 300, 400)
    hand_in(filing.report(batch, group="RJCT:FF01"))
    assert states() == ["failed", "failed"]
    before = books.lines()
    assert hand_in(filing.report(batch, group=status)) == {"doubtful": 1}
    assert states() == ["failed", "failed"]
    assert books.lines() == before
    assert alerts() == [("batch_refused", batch.number, False), ("file_contradicts", batch.number, True)]
    tasks.run_payouts()
    assert Payout.objects.count() == 2
    client = Client()
    client.force_login(factories.user(roles.FINANCE))
    assert f'href="{reverse("payouts:finance-files")}"' in client.get(reverse("payouts:alerts")).text
    books.all_is_well()


def test_a_file_whose_payouts_all_failed_and_is_said_to_go_stops_runs(file_bank: FileBank) -> None:
    batch, (a, b) = sent(file_bank, 300, 400)
    hand_in(filing.report(batch, (a.out_no, "RJCT:AM04")))
    assert hand_in(filing.report(batch, group="ACSC")) == {}  # The other one may go.
    hand_in(filing.report(batch, (b.out_no, "RJCT:AM04")))
    hand_in(filing.report(batch, group="ACSP"))
    assert states() == ["failed", "failed"]
    assert alerts() == [("file_contradicts", batch.number, True)]


def test_a_file_refused_as_a_whole_after_it_was_settled_as_a_whole_has_not_failed(file_bank: FileBank) -> None:
    batch, (a, _b) = sent(file_bank, 300, 400)
    hand_in(filing.report(batch, group="ACSP"))
    hand_in(filing.report(batch, group="ACSC"))
    assert states() == ["accepted", "accepted"]
    assert hand_in(filing.report(batch, group="RJCT:FF01")) == {"doubtful": 1}
    assert states() == ["accepted", "accepted"]
    assert money.owed_fen(a.household) == 0
    assert alerts() == [("batch_refused", batch.number, False)]


def test_a_file_refused_after_it_was_only_accepted_has_failed(file_bank: FileBank) -> None:
    batch, (a, _b) = sent(file_bank, 300, 400)
    hand_in(filing.report(batch, group="ACTC"))
    hand_in(filing.report(batch, group="RJCT:FF01"))
    assert states() == ["failed", "failed"]
    assert money.owed_fen(a.household) == 300
    books.all_is_well()
