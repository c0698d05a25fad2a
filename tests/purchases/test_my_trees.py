"""My trees: opened by a link that only the contact gets, and never a hint of who bought."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from carbonsink.accounts.models import User
from carbonsink.accounts.roles import FINANCE
from carbonsink.crypto import digests
from carbonsink.messages.models import Message
from carbonsink.messages.tasks import send_messages
from carbonsink.states import move
from payouts.accounts import put_back_account
from payouts.models import Payout
from payouts.runs import run_payouts
from payouts.sending import send_payout, take_back
from purchases import portfolio, proceeds, tasks
from purchases.links import ASKED, IN_A_RECEIPT, my_trees_link
from purchases.models import Buyer, Certificate
from tests import factories
from tests.payouts.money import fund
from tests.purchases import books
from tests.purchases.buying import anybody, bought, browser_of, links_in, path

pytestmark = pytest.mark.django_db


def ask(contact: str, **options: Any) -> Any:
    return anybody(**options).post("/my/", {"contact": contact})


def test_a_receipt_is_written_and_its_links_lead_where_they_say() -> None:
    factories.market(3)
    order = bought(2, contact="13912345678")
    message = Message.objects.get()
    assert (message.key, message.to) == (f"paid:{order.pk}", "13912345678")
    certificate = order.certificates.get()
    order_link, certificate_link, my_link = links_in(message)
    assert (order_link, certificate_link) == (f"/orders/{order.token}/", f"/c/{certificate.token}/")
    client = anybody()
    assert client.get(my_link, follow=True).redirect_chain == [("/my/", 302)]
    assert certificate.serial in client.get("/my/").content.decode()


def test_a_receipt_is_in_the_language_of_the_order_and_names_yuan() -> None:
    factories.market(2)
    buyer = Buyer(contact="a@example.org", language="en")
    order = factories.order(2)
    buyer.save()
    type(order).objects.filter(pk=order.pk).update(buyer=buyer)
    factories.capture(order.payments.get())
    tasks.sweep()
    message = Message.objects.get()
    assert message.subject == f"Paid: order {order.number}"
    assert "You have paid 6.00 yuan for the carbon sinks of 2 trees" in message.body


def test_a_capture_that_is_reported_twice_writes_one_receipt_and_an_unpaid_order_none() -> None:
    factories.market(3)
    order, unpaid = factories.order(1), factories.order(1)
    factories.capture(order.payments.get(), transaction_id="T")
    factories.capture(order.payments.get(), transaction_id="T")
    # The gateway does not wait for it.
    assert not Message.objects.exists()
    tasks.sweep()
    tasks.sweep()
    assert list(Message.objects.values_list("key", flat=True)) == [f"paid:{order.pk}"]
    assert unpaid.state == "held"


def test_the_answer_is_the_same_for_known_and_unknown_contacts_and_only_the_known_gets_a_link() -> None:
    factories.market(1)
    bought(1, contact="known@example.org")
    send_messages()
    mail.outbox.clear()
    answers = [ask("known@example.org"), ask("nobody@example.org")]
    assert [(a.status_code, a.url, dict(a.headers) | {"X-Request-Id": ""}) for a in answers] == [
        (302, "/my/?sent=1", dict(answers[0].headers) | {"X-Request-Id": ""})
    ] * 2
    pages = [anybody().get("/my/?sent=1").content for _ in range(2)]
    assert b"If we know this contact, a link is on its way." in pages[0]
    send_messages()
    assert [message.to for message in mail.outbox] == [["known@example.org"]]


def test_a_contact_gets_three_links_an_hour_and_an_address_twenty_answers(later: Any) -> None:
    factories.market(1)
    bought(1, contact="known@example.org")
    for n in range(5):
        later(seconds=1)  # A link of the same second would be the same message.
        assert ask("known@example.org", REMOTE_ADDR=f"10.0.0.{n}").status_code == 302
    assert Message.objects.filter(key__startswith="link:").count() == 3
    answers = [ask(f"x{n}@example.org", REMOTE_ADDR="10.1.1.1").status_code for n in range(21)]
    assert answers == [302] * 20 + [429]


def test_what_is_no_contact_is_said() -> None:
    assert ask("hello").status_code == 400


def test_a_link_ends_after_its_time(later: Any) -> None:
    factories.market(1)
    order = bought(1)
    asked, receipt = path(my_trees_link(order.buyer, ASKED)), path(my_trees_link(order.buyer, IN_A_RECEIPT))
    later(days=1, seconds=1)
    client = anybody()
    answer = client.get(asked)
    assert answer.status_code == 200 and b"This link is not valid any more" in answer.content
    assert b"Certificates" not in client.get("/my/").content
    assert anybody().get(receipt).status_code == 302
    later(days=400)
    assert anybody().get(receipt).status_code == 200


def test_a_link_cannot_be_made_up_or_changed() -> None:
    factories.market(2)
    mine, other = bought(1, contact="a@example.org"), bought(1, contact="b@example.org")
    link = path(my_trees_link(mine.buyer))
    head, _, signature = link.rstrip("/").rpartition(":")
    foreign = path(my_trees_link(other.buyer)).rstrip("/").rpartition(":")[2]
    for forged in (f"{head}:{foreign}/", f"{head}:{signature[:-1]}A/", "/my/enter/x/", "/my/enter/W10:a:b/"):
        if forged != link:
            assert anybody().get(forged).status_code == 200
            assert b"This link is not valid any more" in anybody().get(forged).content


def test_what_a_session_was_shown_ends_by_itself_and_by_leaving(later: Any) -> None:
    factories.market(1)
    order = bought(1)
    client = browser_of(order.buyer.contact)
    assert b"Certificates" in client.get("/my/").content
    client.post("/my/leave/")
    assert b"Certificates" not in client.get("/my/").content
    client = browser_of(order.buyer.contact)
    later(hours=12, seconds=1)
    assert b"Certificates" not in client.get("/my/").content


def test_a_session_that_somebody_planted_is_left_behind() -> None:
    factories.market(1)
    order = bought(1)
    attacker = anybody()
    attacker.post("/i18n/setlang/", {"language": "en"})
    session = attacker.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    victim = anybody()
    victim.cookies["sessionid"] = planted
    victim.get(path(my_trees_link(order.buyer)))
    assert victim.cookies["sessionid"].value != planted
    thief = anybody()
    thief.cookies["sessionid"] = planted
    assert b"Certificates" not in thief.get("/my/").content
    assert b"Certificates" in victim.get("/my/").content


@pytest.mark.parametrize("page", ["", "trees/", "money/", "summary/2026/"])
def test_no_page_is_kept_by_a_browser_or_a_search_engine(page: str) -> None:
    factories.market(1)
    order = bought(1)
    for answer in (
        anybody().get(f"/my/order/{order.token}/{page}"),
        browser_of("giver@example.org").get(f"/my/{page}"),
    ):
        if answer.status_code == 404:
            continue
        assert "no-store" in answer.headers["Cache-Control"]
        assert b'<meta name="robots" content="noindex">' in answer.content


def test_strangers_see_nothing() -> None:
    factories.market(1)
    order = bought(1)
    certificate = order.certificates.get()
    for page in ("trees/", "money/", f"summary/{order.vintage}/", f"certificates/{certificate.token}/"):
        assert anybody().get(f"/my/{page}").status_code == 404
    assert anybody().get("/my/order/nobodys-token/").status_code == 404


def test_an_order_that_is_not_paid_has_no_page_here() -> None:
    factories.market(1)
    assert anybody().get(f"/my/order/{factories.order(1).token}/").status_code == 404


def test_the_link_of_an_order_shows_that_order_alone() -> None:
    factories.market(4)
    first, second = bought(1), bought(2)
    page = anybody().get(f"/my/order/{first.token}/").content.decode()
    assert first.number in page and second.number not in page
    both = browser_of("giver@example.org").get("/my/").content.decode()
    assert first.number in both and second.number in both


def test_somebody_elses_certificates_are_not_shown_and_are_404() -> None:
    factories.market(4)
    bought(1, contact="a@example.org")
    other = bought(2, contact="b@example.org").certificates.get()
    client = browser_of("a@example.org")
    assert other.serial not in client.get("/my/").content.decode()
    for action in ("", "retire/", "hand-on/"):
        assert client.get(f"/my/certificates/{other.token}/{action}").status_code == 404
    for action in ("retire/", "hand-on/", "split/"):
        assert client.post(f"/my/certificates/{other.token}/{action}", {"sure": "1", "trees": 1}).status_code == 404
    assert Certificate.objects.get(pk=other.pk).state == "valid"


def test_it_shows_trees_kilograms_and_places() -> None:
    factories.market(2, 1)
    order = bought(3)
    client = browser_of("giver@example.org")
    assert list(portfolio.by_vintage(portfolio.of_order(order))) == [
        {"vintage": order.vintage, "sum_trees": 3, "sum_kg": 30, "retired": 0}
    ]
    page = client.get("/my/trees/").content.decode()
    for number in order.sinks.values_list("tree__number", flat=True):
        assert f"/trees/{number}/" in page
    summary = portfolio.summary(portfolio.of_order(order), order.vintage)
    assert summary is not None
    assert (summary.trees, summary.kg, summary.households, summary.villages) == (3, 30, 2, 1)
    assert client.get(f"/my/summary/{order.vintage}/").status_code == 200
    assert client.get("/my/summary/2001/").status_code == 404


def test_trees_and_households_come_page_by_page_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purchases.views.portfolio.SHOWN", 2)
    monkeypatch.setattr("purchases.views.portfolio.LISTED", 2)
    factories.market(1, 2, 2)
    order = bought(5)
    client, seen, after, pages = browser_of("giver@example.org"), [], "", 0
    while after is not None:
        answer = client.get(f"/my/trees/?after={after}")
        seen += [sink.tree.number for sink in answer.context["sinks"]]
        after, pages = answer.context["next"], pages + 1
    assert sorted(seen) == sorted(order.sinks.values_list("tree__number", flat=True)) and pages == 3
    first = client.get("/my/money/")
    second = client.get(f"/my/money/?after={first.context['next']}")
    names = [row.household.pk for answer in (first, second) for row in answer.context["rows"]]
    assert len(names) == len(set(names)) == 3 and second.context["next"] is None
    assert client.get("/my/trees/?after=x").status_code == client.get("/my/money/?after=-1").status_code == 200


@pytest.mark.parametrize("page", ["", "trees/", "money/"])
def test_more_trees_orders_and_households_do_not_cost_more_queries(
    page: str, django_assert_max_num_queries: Any
) -> None:
    factories.market(2, 3, 1)
    for quantity in (1, 2, 3):
        bought(quantity)
    client = browser_of("giver@example.org")
    with django_assert_max_num_queries(15):
        assert client.get(f"/my/{page}").status_code == 200


def test_the_money_is_where_the_ledger_says() -> None:
    first, second = factories.market(2, 1)
    order = bought(3)
    scope = portfolio.of_order(order)
    assert portfolio.money(scope) == proceeds.proceeds(order) == proceeds.Proceeds(900, 0, 0)
    factories.payout(factories.account(first))
    sent = {row.household.pk: row.share for row in portfolio.money_after(scope, 0, 10)}
    assert (sent[first.pk].state, sent[first.pk].fen) == ("on_the_way", 600)
    assert sent[first.pk].at is not None
    assert (sent[second.pk].state, sent[second.pk].fen, sent[second.pk].at) == ("waiting", 300, None)
    assert portfolio.money(scope) == proceeds.proceeds(order) == proceeds.Proceeds(300, 600, 0)
    page = browser_of("giver@example.org").get("/my/money/").content.decode()
    assert first.head_name not in page and first.masked_name in page


def test_what_arrived_and_what_came_back_and_went_again_is_followed(bank: Any) -> None:
    (home,) = factories.market(2)
    order = bought(2)
    scope = portfolio.of_order(order)
    factories.account(home)
    fund(bank, 600)
    run_payouts("standin")
    payout = Payout.objects.get()
    send_payout(payout.pk)
    payout.refresh_from_db()
    assert (payout.state, portfolio.money(scope)) == ("succeeded", proceeds.Proceeds(0, 0, 600))
    take_back(payout, reason="account closed")
    assert portfolio.money(scope) == proceeds.Proceeds(600, 0, 0)
    put_back_account(payout.account, by=factories.user(FINANCE), reason="the bank was mistaken")
    run_payouts("standin")
    again = Payout.objects.exclude(pk=payout.pk).get()
    assert portfolio.money(scope) == proceeds.Proceeds(0, 600, 0)
    fund(bank, 600)  # The bank has not really given it back.
    send_payout(again.pk)
    (row,) = portfolio.money_after(scope, 0, 10)
    assert (row.share.state, row.share.fen) == ("arrived", 600)


def test_a_verified_contact_sets_a_password_and_owns_what_it_bought() -> None:
    factories.market(3)
    order = bought(2, contact="13912345678")
    client = browser_of("13912345678")
    assert client.post("/my/password/", {"name": "王五", "password": "short"}).status_code == 400
    answer = client.post("/my/password/", {"name": "王五", "password": "long enough, and odd"})
    assert (answer.status_code, answer.url) == (302, "/my/")
    user = User.objects.get(phone_digest__in=digests("13912345678"))
    assert (user.phone, user.email, user.roles, user.is_staff) == ("13912345678", None, set(), False)
    order.buyer.refresh_from_db()
    assert order.buyer.user == user
    again = anybody()
    again.post("/sign-in/", {"username": "13912345678", "password": "long enough, and odd"})
    assert order.number in again.get("/my/").content.decode()
    assert again.get("/after-sign-in/").url == "/my/"


def test_who_has_an_account_is_sent_to_sign_in_and_nothing_is_made() -> None:
    factories.market(1)
    order = bought(1, contact="known@example.org")
    User.objects.create_user("known@example.org", factories.PASSWORD, name="x")
    before = User.objects.count()
    client = browser_of("known@example.org")
    answer = client.post("/my/password/", {"name": "y", "password": "long enough, and odd"})
    assert answer.status_code == 409 and b"There is an account for this contact already" in answer.content
    assert User.objects.count() == before
    order.buyer.refresh_from_db()
    assert order.buyer.user is None


def test_nobody_sets_a_password_without_a_verified_contact() -> None:
    assert Client().get("/my/password/").status_code == 404
    assert Client().post("/my/password/", {"name": "x", "password": "long enough, and odd"}).status_code == 404


def test_a_revoked_certificate_leaves_the_sums() -> None:
    factories.market(2)
    order = bought(2)
    move(order.certificates.get(), Certificate.State.REVOKED, reason="test")
    assert portfolio.by_vintage(portfolio.of_order(order)) == []


def test_the_books_are_well() -> None:
    factories.market(2)
    bought(2)
    books.all_is_well()
