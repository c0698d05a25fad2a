"""The order form: what it asks of whom, what it says, and what it keeps."""

import html
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carbonsink.accounts import roles
from purchases.models import Buyer, Order, Organisation
from purchases.organisations import confirm_organisation, find_or_note
from tests import factories
from tests.purchases import books
from tests.purchases.test_organisations import CODE

COUNTY = "522633000000"
PERSON = {"quantity": "2", "contact": "139 1234 5678"}
FIRM = PERSON | {
    "kind": "enterprise", "organisation_name": "贵州青山有限公司", "code": CODE, "contact_person": "王小明",
}  # fmt: skip

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def transfers(settings: Any) -> None:
    settings.PAYMENT_GATEWAYS = ["wechatpay", "transfer"]
    settings.TRANSFER_ACCOUNT_NUMBER = "1234567890123456789"


def client() -> Client:
    return Client(headers={"accept-language": "en"})


def send(form: dict[str, str], by: Client | None = None, **changes: str) -> Any:
    token = {"form_token": str(uuid.uuid4())}
    return (by or client()).post(reverse("purchases:area", args=[COUNTY]), token | form | changes)


def said(answer: Any) -> str:
    return html.unescape(answer.content.decode())


def test_a_person_needs_a_number_of_trees_and_a_contact() -> None:
    factories.market(3)
    assert send(PERSON).status_code == 302
    order = Order.objects.select_related("buyer").get()
    assert (order.quantity, order.total_fen, order.holder, order.pays_by) == (2, 600, "", "online")
    assert (order.buyer.kind, order.buyer.contact, order.buyer.organisation) == ("individual", "13912345678", None)


def test_an_organisation_orders_with_its_code_and_is_noted_unchecked() -> None:
    factories.market(3)
    assert send(FIRM, code=f" {CODE.lower()} ", holder="青山", dedication="祝贺2026届毕业生").status_code == 302
    order = Order.objects.select_related("buyer__organisation").get()
    organisation = Organisation.objects.get()
    assert (organisation.code, organisation.name, organisation.is_checked) == (CODE, "贵州青山有限公司", False)
    assert (order.buyer.organisation, order.buyer.kind) == (organisation, Buyer.Kind.ENTERPRISE)
    assert (order.buyer.contact_person, order.holder, order.dedication) == ("王小明", "青山", "祝贺2026届毕业生")
    books.all_is_well()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"code": "91110000600037341K"}, "This is not a unified social credit code: it has 18 characters"),
        ({"code": ""}, "Enter the unified social credit code: 18 characters."),
        ({"organisation_name": " "}, "Enter the organisation's name as the public register has it."),
        ({"contact_person": ""}, "Enter the name of somebody we can ask about this order."),
        ({"kind": "individual"}, "Choose what kind of organisation it is, or empty its name and code."),
        ({"kind": "kingdom"}, "Select a valid choice"),
        ({"contact": "12345"}, "Enter a mobile number of 11 digits or an e-mail address for the receipt."),
        ({"contact": ""}, "Enter a mobile number or an e-mail address for the receipt."),
        ({"holder": "甲" * 81}, "at most 80 characters"),
        ({"dedication": "甲" * 121}, "at most 120 characters"),
        ({"quantity": "a few"}, "Enter a whole number of trees, such as 10."),
        ({"pays_by": "shells"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_and_nothing_typed_is_lost(wrong: dict[str, str], sentence: str) -> None:
    factories.market(3)
    answer = send(FIRM | {"dedication": "给我们班"} | wrong)
    page = said(answer)
    assert answer.status_code == 400
    assert sentence in page
    assert "field-wrong" in page
    assert page.count("autofocus") == ("pays_by" not in wrong)  # To buttons the script goes.
    for name, value in (FIRM | {"dedication": "给我们班"} | wrong).items():
        assert value == "kingdom" or value == "shells" or value.strip() in page, name
    assert not Order.objects.exists()
    assert not Organisation.objects.exists()
    assert books.stock() == (3, 0)


def test_a_person_cannot_pay_by_transfer() -> None:
    factories.market(3)
    answer = send(PERSON, pays_by="transfer")
    assert answer.status_code == 400
    assert "Only organisations pay by bank transfer. Choose to pay online." in said(answer)
    assert not Order.objects.exists()


def test_an_unchecked_organisation_is_noted_told_to_wait_and_may_pay_online_at_once() -> None:
    factories.market(3)
    token = str(uuid.uuid4())
    refused = send(FIRM, pays_by="transfer", form_token=token)
    page = said(refused)
    assert refused.status_code == 409
    assert "usually within two working days" in page
    assert "Pay online now" in page
    assert not Order.objects.exists()
    assert books.stock() == (3, 0)
    assert Organisation.objects.get().code == CODE
    # The button is sent after the choice and counts instead of it.
    sent = FIRM | {"form_token": token, "pays_by": ["transfer", "online"]}
    assert client().post(reverse("purchases:area", args=[COUNTY]), sent).status_code == 302
    assert Order.objects.get().pays_by == "online"
    books.all_is_well()


def test_a_checked_organisation_pays_by_transfer() -> None:
    factories.market(3)
    organisation = find_or_note(CODE, FIRM["organisation_name"], "enterprise", FIRM["contact"])
    confirm_organisation(organisation, by=factories.user(roles.FINANCE))
    assert send(FIRM, pays_by="transfer").status_code == 302
    assert Order.objects.get().pays_by == "transfer"
    wrong = send(FIRM, organisation_name="别的公司", pays_by="transfer")
    assert wrong.status_code == 400
    assert "another name" in said(wrong)
    assert "贵州青山有限公司" not in said(wrong)
    assert Order.objects.count() == 1


def test_transfer_is_not_offered_without_an_account_for_it(settings: Any) -> None:
    settings.TRANSFER_ACCOUNT_NUMBER = ""
    factories.market(3)
    path = reverse("purchases:area", args=[COUNTY])
    assert "pays_by" not in said(client().get(path))
    assert send(FIRM, pays_by="transfer").status_code == 302
    assert Order.objects.get().pays_by == "online"


@pytest.mark.parametrize("fields", [{"email": "buyer@example.org"}, {"email": None, "phone": "13912345678"}])
def test_a_signed_in_buyer_finds_their_contact_filled_in(fields: dict[str, Any]) -> None:
    factories.market(3)
    user, signed_in = factories.user(roles.BUYER), client()
    for name, value in fields.items():
        setattr(user, name, value)
    user.save()
    signed_in.force_login(user)
    page = said(signed_in.get(reverse("purchases:area", args=[COUNTY]) + "?trees=3"))
    assert f'value="{user.phone or user.email}"' in page
    assert 'name="quantity" value="3"' in page
    assert send(PERSON, by=signed_in).status_code == 302
    assert Order.objects.get().buyer.user == user


@pytest.mark.parametrize("trees", ["0", "-3", "x", "9" * 40, "٣", ""])
def test_a_senseless_wish_in_the_address_is_passed_over(trees: str) -> None:
    factories.market(3)
    answer = client().get(reverse("purchases:area", args=[COUNTY]), {"trees": trees})
    assert answer.status_code == 200
    assert trees == "٣" or 'name="quantity" value="1"' in said(answer)
