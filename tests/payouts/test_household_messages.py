"""What households are told by SMS: once, short enough to be one message, and nothing that others should not read."""

from typing import Any

import pytest
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.messages.models import Message
from payouts import access, cases, sending
from payouts.accounts import approve_account
from payouts.banks.base import TransferReport
from payouts.models import Attempt, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.purchases import books
from trees.models import Household

pytestmark = pytest.mark.django_db
# As long as a deployment's address may be.
HOST = "https://carbon.gz.cn"


@pytest.fixture(autouse=True)
def address(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = HOST


def on_its_way(fen: int = 123_450) -> Payout:
    """A payout that the bank has, whose outcome is not known yet."""
    (owner,) = money.households(1)
    money.settle(fen)
    money.owe({owner: fen})
    run_payouts()
    payout = Payout.objects.get()
    assert sending._begin(payout.pk) is not None
    payout.refresh_from_db()
    return payout


def succeed(payout: Payout) -> None:
    report = TransferReport(payout.out_no, "succeeded", "B1", timezone.now())
    sending.record(payout.pk, report)
    sending.record(payout.pk, report)


def texts() -> list[tuple[str, str]]:
    """To whom and what, as an SMS has it."""
    return [(message.to, f"{message.subject}\n{message.body}") for message in Message.objects.order_by("pk")]


def page_of(household: Household) -> str:
    return f"{HOST}/h/{household.page_key}/"


def test_money_that_arrived_is_told_once_in_one_short_message() -> None:
    payout = on_its_way()
    succeed(payout)
    owner, digits = payout.household, payout.account.last_four
    text = f"碳汇1234.50元到尾号{digits}\n{timezone.localtime():%m-%d} {page_of(owner)}"
    assert texts() == [(owner.phone, text)]
    assert len(text) <= 70
    for secret in (owner.head_name, owner.phone, owner.id_number, payout.account.number):
        assert secret not in text
    books.all_is_well()


def test_nothing_is_told_before_it_arrived_nor_of_what_failed() -> None:
    payout = on_its_way()
    sending.mark_unknown(payout.pk, reason="silence")
    sending.record(payout.pk, TransferReport(payout.out_no, "failed", reason="down"))
    assert texts() == []
    books.all_is_well()


def test_what_came_back_is_told_once_whichever_account_it_went_to(later: Any) -> None:
    payout = on_its_way(300)
    succeed(payout)
    payout.refresh_from_db()
    sending.take_back(payout, reason="账户已销户")
    bounced = [text for _to, text in texts()[1:]]
    assert len(bounced) == 1 and "The bank could not pay into your account" not in texts()[0][1]

    owner = payout.household
    account = factories.account(owner, approved=False)
    approve_account(account, by=factories.user(roles.FINANCE))
    later(hours=72, seconds=1)
    money.settle(300)
    run_payouts()
    second = Payout.objects.exclude(pk=payout.pk).get()
    assert sending._begin(second.pk) is not None
    succeed(second)
    approve_account(factories.account(owner, approved=False), by=factories.user(roles.FINANCE))
    second.refresh_from_db()
    before = len(texts())
    sending.take_back(second, reason="账户已销户")
    ((_to, text),) = texts()[before:]
    assert text == f"碳汇3.00元被银行退回\n会再付到新账户 {page_of(owner)}"
    assert len(text.replace("3.00", "1234.50")) <= 70


def test_pin_and_answer_fit_into_one_message_each() -> None:
    payout = on_its_way()
    owner = payout.household
    access.send_pin(owner)
    case = cases.open_case(owner, "not_arrived", payout=payout)
    cases.answer_case(case, by=factories.user(roles.FINANCE), answer="已入账，请打印存折。")
    pin, answer = (text for _to, text in texts())
    assert pin.startswith("新密码") and pin.endswith(page_of(owner)) and len(pin) <= 70
    assert answer == f"您反映的事有回复了\n凭密码查看 {page_of(owner)}"
    assert "存折" not in answer and len(answer) <= 70


def test_a_household_without_a_number_is_paid_and_told_nothing() -> None:
    payout = on_its_way()
    Household.objects.filter(pk=payout.household_id).update(phone="")
    succeed(payout)
    access.send_pin(Household.objects.get())
    assert texts() == []
    assert Attempt.objects.get().state == "succeeded"
    books.all_is_well()
