"""A household's own page: nothing before the PIN, everything after it, and one tap to say what is wrong."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from carbonsink.accounts import roles
from carbonsink.crypto import mask_name
from carbonsink.messages.models import Message
from payouts import access, cases, sending, tasks
from payouts.models import Alert, BankAccount, Case, HouseholdPin, Payout
from payouts.runs import run_payouts
from tests import factories
from tests.ground.threads import at_once
from tests.payouts import money
from tests.purchases import books
from tests.standins.clients import BankClient
from tests.trees.conftest import signed_in
from trees.models import Flag, Household, Tree

PIN = "846203"
WRONG = "This PIN is not right. You can try "
LOCKED = "A wrong PIN was entered too often."


def visitor() -> Client:
    return Client(headers={"accept-language": "en"})


def address(household: Household, what: str = "") -> str:
    return f"/h/{household.page_key}/{what}"


def set_pin(household: Household, pin: str = PIN) -> None:
    access.set_pin(household, pin, by=household.registered_by, reason="test")


def entered(household: Household, pin: str = PIN) -> Client:
    """A phone on which the PIN was entered."""
    client = visitor()
    answer = client.post(address(household), {"pin": pin})
    assert (answer.status_code, answer["Location"]) == (302, address(household))
    return client


def shown(client: Client, household: Household) -> str:
    answer = client.get(address(household))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def paid(bank: BankClient) -> Payout:
    """A payout of ¥6.00 that arrived, of a household with a PIN and two sold trees of three."""
    owner, _other = factories.market(3, 1)
    factories.account(owner)
    for tree in owner.trees.order_by("pk")[:2]:
        factories.paid_order(tree=tree)
    money.fund(bank, 2000)
    run_payouts()
    for pk in sending.to_send():
        sending.send_payout(pk)
    tasks.sweep()
    set_pin(owner)
    found = Payout.objects.get()
    assert found.state == Payout.State.SUCCEEDED
    return found


@pytest.mark.django_db
def test_without_the_pin_nothing_of_anybody_is_shown() -> None:
    (owner,) = factories.market(1)
    factories.account(owner)
    answer = visitor().get(address(owner))
    page = answer.content.decode()
    for secret in (owner.head_name, mask_name(owner.head_name), owner.phone[-4:], "登岜", "¥", "杉木"):
        assert secret not in page
    assert "no-store" in answer["Cache-Control"] and 'name="robots" content="noindex"' in page
    for what in ("say/", "stop/"):
        refused = visitor().post(address(owner, what), {"kind": "not_mine"})
        assert refused.status_code == 403 and "enter the PIN again" in refused.content.decode()
    assert visitor().get("/h/0123456789abcdef012345/").status_code == 404
    assert not Case.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_with_the_pin_a_household_sees_what_was_sold_and_paid(paid: Payout) -> None:
    owner = paid.household
    page = shown(entered(owner), owner)
    digits = paid.account.last_four
    for text in (
        owner.masked_name,
        "¥6.00",
        "2 trees, 20 kg",
        f"ending in {digits}",
        "It arrived",
        "It did not arrive",
    ):
        assert text in page, text
    for secret in (owner.head_name, paid.account.number, owner.phone, owner.id_number):
        assert secret not in page
    assert "Still to come" not in page
    books.all_is_well()


@pytest.mark.django_db
def test_whoever_has_sold_trees_is_not_told_to_wait_for_a_buyer() -> None:
    (owner,) = factories.market(1)
    set_pin(owner)
    client = entered(owner)
    assert "When somebody buys your trees, the money shows here." in shown(client, owner)
    factories.paid_order()
    page = shown(client, owner)
    assert "Still to come" in page and "Once the money is sent, it shows here." in page
    assert "When somebody buys your trees" not in page


@pytest.mark.django_db
def test_another_household_s_page_needs_its_own_pin_and_a_new_pin_ends_what_was_open() -> None:
    mine, other = factories.market(1, 1)
    set_pin(mine)
    client = entered(mine)
    assert mine.masked_name in shown(client, mine)
    assert other.masked_name not in shown(client, other) and "PIN (6 digits)" in shown(client, other)
    assert client.post(address(other), {"pin": PIN}).status_code == 400
    tree = other.trees.get()
    for form in ({"tree": tree.number}, {"payout": "x"}, {}):
        assert client.post(address(mine, "say/"), {"kind": "not_mine", **form}).status_code == 404
    assert client.post(address(mine, "say/"), {"kind": "x", "tree": mine.trees.get().number}).status_code == 404
    assert not Case.objects.exists()
    set_pin(mine, "194627")
    assert "PIN (6 digits)" in shown(client, mine)


@pytest.mark.django_db
def test_a_device_forgets_after_30_minutes_and_when_it_is_told_to(later: Any) -> None:
    owner = factories.household()
    set_pin(owner)
    client, other = entered(owner), entered(owner)
    other.post(address(owner, "leave/"))
    assert owner.masked_name not in shown(other, owner)
    later(minutes=29)
    assert owner.masked_name in shown(client, owner)
    later(minutes=2)
    assert owner.masked_name not in shown(client, owner)
    assert client.post(address(owner, "say/"), {"kind": "arrived"}).status_code == 403


@pytest.mark.django_db
def test_five_wrong_pins_lock_for_an_hour_then_for_two_and_the_officer_lifts_it(later: Any) -> None:
    owner, client = factories.household(), visitor()
    set_pin(owner)
    for left in (4, 3, 2, 1):
        assert f"{WRONG}{left} more" in client.post(address(owner), {"pin": "111111"}).content.decode()
    for pin in ("111111", PIN, PIN):
        answer = client.post(address(owner), {"pin": pin})
        assert answer.status_code == 409 and LOCKED in answer.content.decode()
    row = HouseholdPin.objects.get()
    assert row.wrong == 5 and 3590 < (row.locked_until - timezone.now()).total_seconds() <= 3600
    later(minutes=61)
    for _ in range(5):
        client.post(address(owner), {"pin": "111111"})
    row.refresh_from_db()
    assert 7190 < (row.locked_until - timezone.now()).total_seconds() <= 7200
    stranger = signed_in(factories.user(roles.OFFICER, "522631"))
    path = f"/officer/households/{owner.public_id}/pin/lift/"
    assert stranger.post(path).status_code == 404
    assert client.post(address(owner), {"pin": PIN}).status_code == 409
    assert signed_in(owner.registered_by).post(path).status_code == 302
    entered(owner)
    row.refresh_from_db()
    assert (row.wrong, row.locked_until) == (0, None)
    with pytest.raises(IntegrityError, match="payouts_householdpin_locks"), transaction.atomic():
        HouseholdPin.objects.update(wrong=5)


@pytest.mark.django_db
def test_a_pin_by_sms_ends_a_lock_and_does_not_begin_the_locks_anew(later: Any) -> None:
    """Or whoever has the code on the paper would ask for one, and guess on."""
    owner, client = factories.household(), visitor()
    set_pin(owner)

    def locks_for_hours() -> float:
        for _ in range(5):
            client.post(address(owner), {"pin": "111111"})
        return round((HouseholdPin.objects.get().locked_until - timezone.now()).total_seconds() / 3600, 1)

    assert locks_for_hours() == 1
    client.post(address(owner, "pin/"))
    assert locks_for_hours() == 2
    client.post(address(owner, "pin/"))
    newest = Message.objects.latest("pk").subject.removeprefix("新密码")
    assert owner.masked_name in shown(entered(owner, newest), owner)
    assert (HouseholdPin.objects.get().wrong, HouseholdPin.objects.get().locked_until) == (0, None)


@pytest.mark.django_db(transaction=True)
def test_no_more_than_five_guesses_at_the_same_moment_get_through() -> None:
    owner = factories.household()
    set_pin(owner)

    def guess() -> tuple[int, bool]:
        answer = visitor().post(address(owner), {"pin": "135792"})
        return answer.status_code, WRONG in answer.content.decode()

    told = at_once(*[guess] * 12)
    assert sorted(told) == [(400, True)] * 4 + [(409, False)] * 8
    assert HouseholdPin.objects.get().wrong == 5


@pytest.mark.django_db
def test_a_new_pin_goes_to_the_registered_number_alone_and_three_times_a_day_at_most(later: Any) -> None:
    owner = factories.household()
    answers = {
        visitor().post(address(owner, "pin/"), follow=True).content.decode().count("three times") for _ in range(5)
    }
    assert answers == {1}
    sent = list(Message.objects.order_by("pk"))
    assert [message.to for message in sent] == [owner.phone] * 3
    pins = [message.subject.removeprefix("新密码") for message in sent]
    assert visitor().post(address(owner), {"pin": pins[0]}).status_code == 400
    assert owner.masked_name in shown(entered(owner, pins[2]), owner)
    assert PIN not in HouseholdPin.objects.get().hashed and pins[2] not in HouseholdPin.objects.get().hashed
    later(days=1)
    visitor().post(address(owner, "pin/"))
    assert Message.objects.count() == 4


@pytest.mark.django_db
def test_the_officer_sets_a_pin_that_nobody_guesses_or_prints_one_on_a_slip() -> None:
    owner = factories.household()
    client, path = signed_in(owner.registered_by), f"/officer/households/{owner.public_id}/pin/"
    for pin in ("123456", "098765", "777777", owner.phone[-6:], owner.id_number[6:12], "12345", "12345a"):
        assert client.post(path, {"pin": pin, "again": pin}).status_code == 400, pin
    assert client.post(path, {"pin": PIN, "again": "846204"}).status_code == 400
    assert not HouseholdPin.objects.exclude(hashed="").exists()
    assert client.post(path, {"pin": PIN, "again": PIN}).status_code == 302
    entered(owner)
    row = HouseholdPin.objects.get()
    assert (row.set_by, row.version) == (owner.registered_by, 1)
    slip = client.post(path + "draw/")
    assert slip["Content-Type"] == "application/pdf" and slip.content.startswith(b"%PDF-")
    assert "no-store" in slip["Cache-Control"]
    assert visitor().post(address(owner), {"pin": PIN}).status_code == 400
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_not_arrived_is_answered_by_finance_and_the_household_reads_it(paid: Payout) -> None:
    owner, client, finance = paid.household, entered(paid.household), factories.user(roles.FINANCE)
    for _ in range(2):
        client.post(address(owner, "say/"), {"kind": "not_arrived", "payout": paid.out_no})
    case, alert = Case.objects.get(), Alert.objects.get(kind="case")
    assert (case.state, alert.about, alert.state, alert.stops) == ("open", paid.out_no, "open", False)
    desk = signed_in(finance)
    assert owner.masked_name in desk.get("/finance/cases/").content.decode()
    page = desk.get(f"/finance/cases/{case.pk}/").content.decode()
    for text in (paid.bank_reference, paid.out_no, paid.statement_rows.get().serial, "¥6.00"):
        assert text in page
    assert paid.account.number not in page
    assert desk.post(f"/finance/cases/{case.pk}/", {"answer": " "}).status_code == 400
    told = Message.objects.count()
    assert desk.post(f"/finance/cases/{case.pk}/", {"answer": "银行说二十日已入账，请打印存折。"}).status_code == 302
    assert desk.post(f"/finance/cases/{case.pk}/", {"answer": "x"}).status_code == 409
    case.refresh_from_db(), alert.refresh_from_db()
    assert (case.state, case.answered_by, alert.state) == ("answered", finance, "closed")
    assert Message.objects.count() == told + 1
    assert "银行说二十日已入账，请打印存折。" in shown(client, owner)
    client.post(address(owner, "say/"), {"kind": "not_arrived", "payout": paid.out_no})
    case.refresh_from_db()
    assert case.state == "open" and Alert.objects.filter(state="open").count() == 1
    client.post(address(owner, "say/"), {"kind": "arrived", "payout": paid.out_no})
    client.post(address(owner, "say/"), {"kind": "arrived", "payout": paid.out_no})
    assert list(Case.objects.order_by("pk").values_list("kind", "state")) == [
        ("not_arrived", "closed"),
        ("arrived", "closed"),
    ]
    assert not Alert.objects.filter(state="open").exists()
    assert "You said that it arrived." in shown(client, owner)
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_the_same_tap_at_the_same_moment_makes_one_case(paid: Payout) -> None:
    def tap() -> int:
        return cases.open_case(paid.household, "not_arrived", payout=paid).pk

    assert len(set(at_once(*[tap] * 6))) == 1
    assert Case.objects.count() == Alert.objects.count() == 1
    case = Case.objects.get()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Case.objects.update(said="x")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        case.delete()
    with pytest.raises(IntegrityError, match="not_arrived_once"), transaction.atomic():
        Case.objects.create(household=paid.household, kind="not_arrived", payout=paid)


@pytest.mark.django_db
def test_not_my_tree_is_a_flag_for_another_reviewer_and_the_tree_stays_on_sale() -> None:
    (owner,) = factories.market(2)
    set_pin(owner)
    tree = owner.trees.order_by("pk")[0]
    entered(owner).post(address(owner, "say/"), {"kind": "not_mine", "tree": tree.number})
    case, flag = Case.objects.get(), Flag.objects.get(kind=Flag.Kind.NOT_MINE)
    assert (case.tree, flag.tree, flag.settled_at) == (tree, tree, None)
    assert Tree.objects.get(pk=tree.pk).state == "approved" and tree.sinks.get().open
    reviewer, path = factories.user(roles.REVIEWER), f"/officer/cases/{case.pk}/"
    assert "says that it is not its tree" in signed_in(reviewer).get(f"/review/{tree.number}/").content.decode()
    for role, area in ((roles.REVIEWER, "522631"), (roles.OFFICER, "522631"), (roles.FINANCE, "")):
        assert signed_in(factories.user(role, area)).get(path).status_code == 404
    officer = signed_in(owner.registered_by)
    assert officer.get(path).status_code == 200
    assert officer.post(path, {"answer": "x"}).status_code == 403
    assert signed_in(factories.user(roles.FINANCE)).get(f"/finance/cases/{case.pk}/").status_code == 404
    assert signed_in(reviewer).post(path, {"answer": "已核对，是您家老屋后的杉树。"}).status_code == 302
    flag.refresh_from_db()
    assert (flag.settled_by, flag.note) == (reviewer, "已核对，是您家老屋后的杉树。")
    assert "已核对，是您家老屋后的杉树。" in shown(entered(owner), owner)
    books.all_is_well()


@pytest.mark.django_db
def test_a_payment_that_has_not_gone_out_cannot_be_missed() -> None:
    (owner,) = money.households(1)
    set_pin(owner)
    money.settle(300)
    money.owe({owner: 300})
    run_payouts()
    payout, client = Payout.objects.get(), entered(owner)
    assert "It did not arrive" not in shown(client, owner) and "on its way" in shown(client, owner)
    money.owe({owner: 100})
    assert "The buyers&#x27; money is on its way to us." in shown(client, owner)
    money.settle(100)
    assert "It is paid in the next days." in shown(client, owner)
    for kind in ("arrived", "not_arrived"):
        answer = client.post(address(owner, "say/"), {"kind": kind, "payout": payout.out_no})
        assert answer.status_code == 409
    assert not Case.objects.exists()


@pytest.mark.django_db
def test_a_household_stops_an_account_that_is_not_its_own() -> None:
    (owner,) = money.households(1)
    set_pin(owner)
    client = entered(owner)
    assert "That was not me" not in shown(client, owner)
    theirs = factories.account(owner)
    assert "That was not me" in shown(client, owner)
    for version in ("99", "x", ""):
        assert client.post(address(owner, "stop/"), {"version": version}).status_code == 404
    assert client.post(address(owner, "stop/"), {"version": "2"}).status_code == 302
    theirs.refresh_from_db()
    assert theirs.state == BankAccount.State.REJECTED
    assert "That was not me" not in shown(client, owner)
    assert client.post(address(owner, "stop/"), {"version": "2"}).status_code == 409


@pytest.mark.django_db(transaction=True)
def test_a_household_that_withdrew_still_sees_its_money(paid: Payout) -> None:
    owner = paid.household
    form = {"on": str(timezone.localdate()), "reason": "moved", "sure": "on"}
    assert (
        signed_in(owner.registered_by).post(f"/officer/households/{owner.public_id}/withdrawal/", form).status_code
        == 302
    )
    page = shown(entered(owner), owner)
    assert "¥6.00" in page and "2 trees, 20 kg" in page
    assert "That is not my tree" not in page
