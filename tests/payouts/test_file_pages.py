"""Finance carries files to and from a bank whose front-end machine the platform cannot reach."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from payouts import statements, tasks
from payouts.accounts import put_back_account
from payouts.approvals import approve_held
from payouts.banks import folder
from payouts.banks.base import Movement, Page
from payouts.models import Alert, BankReport, Batch, Download, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import filing, money
from tests.payouts.filing import states
from tests.purchases import books

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/finance/files/"


@pytest.fixture
def batch(settings: Any) -> Batch:
    """A file of two payouts that nobody has handed over yet."""
    settings.PAYOUT_BANK, settings.PAIN001_OUT_DIR, settings.PAIN001_IN_DIR = "pain001", "", ""
    settings.PAIN001_DEBTOR_NAME, settings.PAIN001_DEBTOR_ACCOUNT = "单株碳汇监管账户", filing.ACCOUNT
    settings.PAIN001_DEBTOR_BANK_CODE = "102100000021"
    households = money.households(2)
    money.settle(700, bank="pain001")
    money.owe(dict(zip(households, (300, 400), strict=True)))
    run_payouts()
    tasks.sweep()
    return Batch.objects.get()


@pytest.fixture
def finance() -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(factories.user(roles.FINANCE))
    return client


def upload(client: Client, content: bytes, bank: str = "pain001") -> Any:
    data = {"bank": bank, "file": SimpleUploadedFile("answer.xml", content)}
    return client.post(PAGE, data, follow=True)


def test_a_file_is_downloaded_handed_over_and_answered(batch: Batch, finance: Client) -> None:
    assert (batch.state, states()) == ("written", ["sending"] * 2)
    page = finance.get(PAGE)
    assert batch.name in page.text
    assert "I have handed it over" not in page.text  # Not before somebody has it.
    answer = finance.post(f"{PAGE}{batch.number}/download")
    assert hashlib.sha256(answer.content).hexdigest() == batch.sha256
    assert answer["Content-Disposition"] == f'attachment; filename="{batch.name}"'
    page = finance.get(PAGE)
    assert "Downloaded by finance" in page.text
    finance.post(f"{PAGE}{batch.number}/delivered")
    batch.refresh_from_db()
    assert (batch.state, batch.delivered_at is not None) == ("delivered", True)
    assert batch.history().get().by_id == Download.objects.get().by_id
    assert states() == ["sending"] * 2  # The bank has said nothing yet.
    rows = [(one.payout.out_no, "ACSC") for one in batch.attempts.order_by("pk")]
    page = upload(finance, filing.report(batch, *rows[:1], (rows[1][0], "ACSP"), ("f" * 32, "ACSC")))
    assert "1 accepted, 1 arrived, 0 failed, 1 unknown." in page.text
    assert "1 arrived, 0 failed, 1 accepted, 0 without an answer" in page.text
    assert states() == ["succeeded", "accepted"]
    assert BankReport.objects.get().read_by_id == Download.objects.get().by_id
    page = upload(finance, filing.report(batch, *rows))
    assert "0 accepted, 1 arrived, 0 failed, 0 unknown. 1 were known already." in page.text
    books.all_is_well()


def test_a_file_can_be_taken_again_and_says_so(batch: Batch, finance: Client) -> None:
    first = finance.post(f"{PAGE}{batch.number}/download")
    finance.post(f"{PAGE}{batch.number}/delivered")
    other = Client(headers={"accept-language": "en"})
    other.force_login(factories.user(roles.FINANCE))
    assert other.post(f"{PAGE}{batch.number}/download").content == first.content
    assert Download.objects.values("by").distinct().count() == 2
    assert finance.get(PAGE).text.count("Downloaded by") == 2
    again = finance.post(f"{PAGE}{batch.number}/delivered")
    assert again.status_code == 409


def test_nobody_says_that_a_file_went_which_nobody_took(batch: Batch, finance: Client) -> None:
    answer = finance.post(f"{PAGE}{batch.number}/delivered")
    assert (answer.status_code, "Download it first" in answer.text) == (409, True)
    batch.refresh_from_db()
    assert batch.state == "written"


def test_what_the_machine_hands_over_nobody_carries(batch: Batch, finance: Client, settings: Any) -> None:
    settings.PAIN001_OUT_DIR = "nowhere"
    answer = finance.post(f"{PAGE}{batch.number}/download")
    assert (answer.status_code, "handed over by itself" in answer.text) == (409, True)
    assert Download.objects.count() == 0
    assert "Waiting for the bank" in finance.get(PAGE).text


def test_what_somebody_carries_the_machine_does_not_hand_over(
    batch: Batch, finance: Client, settings: Any, tmp_path: Path
) -> None:
    finance.post(f"{PAGE}{batch.number}/download")
    settings.PAIN001_OUT_DIR = str(tmp_path)
    tasks.sweep()
    batch.refresh_from_db()
    assert (batch.state, list(tmp_path.iterdir())) == ("written", [])
    assert "I have handed it over" in finance.get(PAGE).text
    finance.post(f"{PAGE}{batch.number}/delivered")
    tasks.sweep()
    batch.refresh_from_db()
    assert (batch.state, list(tmp_path.iterdir())) == ("delivered", [])


def test_what_somebody_takes_at_the_moment_of_its_hand_over_does_not_go_twice(
    batch: Batch, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PAIN001_OUT_DIR = str(tmp_path)
    stage, person = folder.stage, factories.user(roles.FINANCE)

    def taken_meanwhile(*args: Any) -> bool:
        Download.objects.create(batch=batch, by=person)  # By a server that does not know of the machine yet.
        return stage(*args)

    monkeypatch.setattr(folder, "stage", taken_meanwhile)
    for _ in range(2):
        tasks.sweep()
        batch.refresh_from_db()
        assert (batch.state, [path.name for path in tmp_path.glob("[!.]*")]) == ("written", [])


def test_a_file_whose_content_was_altered_is_not_given_out(batch: Batch, finance: Client) -> None:
    Batch.objects.filter(pk=batch.pk).update(content="YWJj")
    answer = finance.post(f"{PAGE}{batch.number}/download")
    assert (answer.status_code, Download.objects.count()) == (409, 0)
    assert list(Alert.objects.values_list("kind", "stops")) == [("file_changed", True)]


@pytest.mark.parametrize("content", [b"", b"<x", b"PK\x03\x04", "序号,姓名\n1,滚修\n".encode("gb18030")])
@pytest.mark.parametrize("bank", ["pain001", "daifa"])
def test_what_is_no_file_of_a_bank_is_said_in_a_sentence(
    batch: Batch, finance: Client, content: bytes, bank: str
) -> None:
    answer = upload(finance, content, bank)
    assert answer.status_code == 400
    assert "notice-error" in answer.text
    assert (BankReport.objects.count(), states()) == (0, ["sending"] * 2)


def test_only_finance_has_the_page(batch: Batch, finance: Client) -> None:
    officer = Client()
    officer.force_login(factories.user(roles.OFFICER))
    for method, path in (("get", PAGE), ("post", PAGE), ("post", f"{PAGE}{batch.number}/download")):
        assert getattr(officer, method)(path).status_code == 404
        assert getattr(Client(), method)(path).status_code == 302
    assert officer.post(f"{PAGE}{batch.number}/delivered").status_code == 404
    assert Download.objects.count() == 0
    assert finance.get(f"{PAGE}{batch.number}/download").status_code == 405
    assert finance.post(f"{PAGE}nobodys/download").status_code == 404
    assert upload(finance, b"x", "standin").status_code == 400


def test_a_file_that_the_bank_refused_leaves_no_more(batch: Batch, finance: Client) -> None:
    finance.post(f"{PAGE}{batch.number}/download")
    finance.post(f"{PAGE}{batch.number}/delivered")
    assert "Download again" in finance.get(PAGE).text
    upload(finance, filing.report(batch, group="RJCT:FF01"))
    batch.refresh_from_db()
    assert (batch.state, states()) == ("refused", ["failed"] * 2)
    assert "Download again" not in finance.get(PAGE).text
    answer = finance.post(f"{PAGE}{batch.number}/download", follow=True)
    assert "nobody may carry it to the bank any more" in answer.text
    assert Download.objects.count() == 1


def test_what_follows_a_failure_in_a_file_waits_for_two_people(batch: Batch, finance: Client) -> None:
    """One person could have written the file."""
    finance.post(f"{PAGE}{batch.number}/download")
    finance.post(f"{PAGE}{batch.number}/delivered")
    failed, arrived = (one.payout for one in batch.attempts.order_by("pk"))
    upload(finance, filing.report(batch, (failed.out_no, "RJCT:AM04"), (arrived.out_no, "ACSC")))
    money.owe({arrived.household: 100})
    money.settle(100, bank="pain001")
    assert run_payouts().held == 1
    first, second = Payout.objects.exclude(pk__in=[failed.pk, arrived.pk]).order_by("fen")
    assert (first.household, first.fen, first.state, first.held_for) == (arrived.household, 100, "approved", "")
    assert (second.household, second.fen, second.state) == (failed.household, 300, "held")
    assert (second.held_for, second.approvals_needed) == ("after_file", 2)
    for _person in range(2):
        approve_held(second, by=factories.user(roles.FINANCE))
    second.refresh_from_db()
    assert second.state == "approved"
    books.all_is_well()


def test_what_follows_a_return_in_a_file_waits_for_two_people(batch: Batch, finance: Client) -> None:
    """One person could have written the file, and put the account back."""
    finance.post(f"{PAGE}{batch.number}/download")
    finance.post(f"{PAGE}{batch.number}/delivered")
    payout = batch.attempts.order_by("pk")[0].payout
    for fen in (-payout.fen, payout.fen):
        moved = Movement(f"S{fen}", timezone.now(), fen, "某人", "退票", payout.out_no, f"S{fen}")
        statements.take_in("pain001", Page((moved,), ""))
    put_back_account(payout.account, by=factories.user(roles.FINANCE), reason="it is right")
    assert run_payouts().held == 1
    again = Payout.objects.latest("pk")
    assert (again.household, again.state, again.held_for) == (payout.household, "held", "after_file")
    books.all_is_well()
