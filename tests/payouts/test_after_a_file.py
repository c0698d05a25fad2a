"""One person may bring a file of a bank, and write it: what is owed again by its word is paid only by two people."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from payouts import batches, clarifications
from payouts.accounts import put_back_account
from payouts.approvals import approve_held, release_run
from payouts.models import Alert, Batch, Payout, Run
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import filing, money, whole
from tests.payouts.clarifying import WHY, two
from tests.payouts.test_audit import by_hand
from tests.purchases import books
from tests.purchases.banking import camt, client_of, entry
from trees.models import Household

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def carried(settings: Any) -> None:
    """A bank whose files finance carries."""
    settings.PAYOUT_BANK, settings.PAIN001_OUT_DIR, settings.PAIN001_IN_DIR = "pain001", "", ""
    settings.PAIN001_DEBTOR_NAME, settings.PAIN001_DEBTOR_ACCOUNT = "单株碳汇监管账户", filing.ACCOUNT
    settings.PAIN001_DEBTOR_BANK_CODE = "102100000021"


@pytest.fixture
def villain() -> User:
    return factories.user(roles.FINANCE)


def paid(household: Household, fen: int, villain: User) -> Payout:
    """A payout in a file that was carried to the bank, with no answer yet."""
    money.settle(fen, "pain001")
    money.owe({household: fen})
    run_payouts()
    batches.send_approved("pain001")
    batch = Batch.objects.latest("pk")
    batches.download(batch, by=villain)
    batches.say_delivered(batch, by=villain)
    return Payout.objects.latest("pk")


def told(payout: Payout, status: str, villain: User) -> None:
    """A status report that anybody could have written."""
    batch = payout.attempts.get().batch
    assert batch is not None
    upload(client_of(villain), filing.report(batch, (payout.out_no, status)))


def upload(client: Client, content: bytes) -> None:
    data = {"bank": "pain001", "file": SimpleUploadedFile(f"{timezone.now():%f}.xml", content)}
    assert client.post("/finance/files/", data).status_code == 302


def brought_back(payout: Payout, villain: User, serial: str = "X1") -> None:
    """A notification of a credit with the payout's number that one person wrote, who then puts the account back."""
    text = entry(payout.fen, "退票", serial, version="08")
    text = text.replace("<TxDtls>", f"<TxDtls><Refs><EndToEndId>{payout.out_no}</EndToEndId></Refs>")
    notice = camt(text, version="08", account=filing.ACCOUNT)
    notice = notice.replace(b"camt.053", b"camt.054").replace(b"BkToCstmrStmt", b"BkToCstmrDbtCdtNtfctn")
    upload(client_of(villain), notice.replace(b"<Stmt>", b"<Ntfctn>").replace(b"</Stmt>", b"</Ntfctn>"))
    payout.refresh_from_db()
    assert payout.state == "returned"
    put_back_account(payout.account, by=villain, reason="it is right")


def follows(payout: Payout) -> tuple[int, str, str]:
    """What the next run makes of it: fen, state and why it is held."""
    run_payouts()
    newest = Payout.objects.filter(household=payout.household).latest("pk")
    return newest.fen, newest.state, newest.held_for


HELD = (300, "held", "after_file")
UNAPPROVED = "payouts without approval of money that was owed again by the word of a bank's file"


def test_a_return_that_one_person_invents_long_after_is_not_paid_without_approval(villain: User) -> None:
    (household,) = money.households(1)
    first = paid(household, 300, villain)
    told(first, "ACSC", villain)
    told(paid(household, 400, villain), "ACSC", villain)
    brought_back(first, villain)
    assert follows(first) == HELD
    assert batches.send_approved("pain001") == 0
    # What its trees earn meanwhile is other money.
    money.settle(50, "pain001")
    money.owe({household: 50})
    assert follows(first) == (50, "approved", "")
    assert Payout.objects.filter(state="held").count() == 1


def test_of_two_on_their_way_the_one_that_a_file_calls_failed_waits(villain: User) -> None:
    (household,) = money.households(1)
    first, second = paid(household, 300, villain), paid(household, 400, villain)
    told(second, "ACSC", villain)
    told(first, "RJCT:AM04", villain)
    assert follows(first) == HELD
    books.all_is_well()


def test_what_was_held_and_released_is_held_again(villain: User) -> None:
    """Through as many payouts as have had the money, also once it is owed together with other money."""
    (household,) = money.households(1)
    first = paid(household, 300, villain)
    told(first, "ACSC", villain)
    told(paid(household, 400, villain), "ACSC", villain)
    brought_back(first, villain)
    for more in (0, 0, 7):
        assert follows(first) == HELD
        release_run(Run.objects.latest("pk"), by=villain, count=1, fen=300, reason="not yet")
        if more:
            money.settle(more, "pain001")
            money.owe({household: more})
    assert follows(first) == (307, "held", "after_file")
    # Two people have looked; what is said of the new payout is looked at anew.
    again = Payout.objects.latest("pk")
    for person in two():
        approve_held(again, by=person)
    batches.send_approved("pain001")
    batches.download(Batch.objects.latest("pk"), by=villain)
    told(again, "RJCT:AM04", villain)
    assert follows(first) == (307, "held", "after_file")


def test_a_follow_up_that_nobody_sends_frees_nothing_else(villain: User, settings: Any) -> None:
    """Of one household a payout is known to have gone with its file; another one has still failed by a file's word."""
    (household,) = money.households(1)
    failed, gone = paid(household, 300, villain), paid(household, 400, villain)
    told(failed, "RJCT:AM04", villain)
    told(gone, "RJCT:AM04", villain)
    by, other = two()
    row = whole.row("pain001", -400, named=gone.out_no)
    clarifications.agree(clarifications.propose(gone, row, why=WHY, by=by), by=other)
    follow_up = Payout.objects.latest("pk")
    assert (follow_up.fen, follow_up.state) == (400, "succeeded")
    assert not Alert.objects.filter(state="open", stops=True).exists()
    assert follows(failed) == HELD
    books.all_is_well()
    # The follow-up went in no file; a file can say that it came back all the same.
    brought_back(follow_up, villain)
    assert follows(failed) == (400, "held", "after_file")


def test_another_bank_pays_it_no_sooner(villain: User, settings: Any) -> None:
    (household,) = money.households(1)
    first = paid(household, 300, villain)
    told(first, "RJCT:AM04", villain)
    settings.PAYOUT_BANK = "standin"
    money.settle(300)
    assert follows(first) == HELD


def test_households_whose_files_say_nothing_odd_are_paid_by_rule(villain: User) -> None:
    (household,) = money.households(1)
    told(paid(household, 300, villain), "ACSC", villain)
    money.settle(300, "pain001")
    money.owe({household: 300})
    assert follows(Payout.objects.get()) == (300, "approved", "")
    books.all_is_well()


def test_the_audit_sees_such_money_paid_without_approval(villain: User) -> None:
    (household,) = money.households(1)
    first = paid(household, 300, villain)
    told(first, "RJCT:AM04", villain)
    follows(first)
    release_run(Run.objects.latest("pk"), by=villain, count=1, fen=300, reason="not yet")
    assert follows(first) == HELD
    books.all_is_well()
    again = Payout.objects.latest("pk")
    with transaction.atomic():
        by_hand(f"UPDATE payouts_payout SET held_for = '', approvals_needed = 0 WHERE id = {again.pk}")
    assert books.found() == {UNAPPROVED: [again.out_no]}
