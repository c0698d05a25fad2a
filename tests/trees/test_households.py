"""Registering a household, through the API as devices do and through the page."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone
from stdnum.cn import ric

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.ledger.models import Account
from tests import factories
from tests.ground.threads import at_once
from tests.trees.conftest import signed_in
from tests.trees.registry import Page, household_body, household_form, post, stored
from trees.models import Consent, ConsentText, Household, Programme

ID_SENTENCE = "The ID number is not right. Compare all 18 characters with the card."
CONSENT_SENTENCE = "Without the household's signed consent nothing is stored."
PHONE_SENTENCE = "Enter the 11 digits of a mobile number, such as 13912345678."
VILLAGE_SENTENCE = "This village is not among yours. Choose one from the list."


def id_number(born: str) -> str:
    """A number with this date of birth whose check digit is right."""
    body = f"522633{born}001"
    return body + ric.calc_check_digit(body + "0")


# What is wrong → the code and the sentence.
BAD = {
    "consent not signed": ({"consent_signed": False}, "no_consent", CONSENT_SENTENCE),
    "consent text unknown": (
        {"consent_version": "99"}, "no_consent",
        "This consent text is not known. Load the page again and have it signed.",
    ),
    "ID number: check digit": ({"id_number": id_number("19010101")[:-1] + "1"}, "bad_id_number", ID_SENTENCE),
    "ID number: no such day": ({"id_number": id_number("19010230")}, "bad_id_number", ID_SENTENCE),
    "ID number: not born yet": ({"id_number": id_number("29990101")}, "bad_id_number", ID_SENTENCE),
    "ID number: 15 digits": ({"id_number": "522633010101001"}, "bad_id_number", ID_SENTENCE),
    "ID number: letters": ({"id_number": id_number("19010101")[:-1] + "Y"}, "bad_id_number", ID_SENTENCE),
    "ID number: other digits": ({"id_number": "٥٢٢٦٣٣١٩٠١٠١٠١٠٠١٨"}, "bad_id_number", ID_SENTENCE),
    "phone too short": ({"phone": "1991234567"}, "bad_phone", PHONE_SENTENCE),
    "phone of a town": ({"phone": "085551234567"}, "bad_phone", PHONE_SENTENCE),
    "phone: other digits": ({"phone": "1991234567٨"}, "bad_phone", PHONE_SENTENCE),
    "name of spaces": ({"head_name": "　 "}, "invalid", "head_name: This field may not be blank."),
    "no area": ({"area_mu": "0"}, "invalid", "Enter the area in mu, such as 1.5."),
    "negative area": ({"area_mu": "-1"}, "invalid", "Enter the area in mu, such as 1.5."),
    "certificate without number": (
        {"tenure": "certificate", "tenure_number": " "}, "no_tenure",
        "Enter the number of the forest-right certificate.",
    ),
    "village unknown": ({"village_code": "522633102999"}, "unknown_village", VILLAGE_SENTENCE),
    "a township, no village": ({"village_code": "522633102000"}, "unknown_village", VILLAGE_SENTENCE),
    "village of another county": ({"village_code": factories.OTHER_COUNTY}, "unknown_village", VILLAGE_SENTENCE),
}  # fmt: skip
# What the form of the request forbids → the field.
MALFORMED = {
    "client_uuid": "not-a-uuid", "village_code": "52", "head_name": "x" * 41, "id_number": "5" * 25,
    "phone": None, "category": "rich", "area_mu": "1.505", "tenure": "mine", "tenure_number": "x" * 61,
    "consent_signed": "perhaps", "consent_version": "", 
}  # fmt: skip


@pytest.mark.django_db
def test_a_household_is_stored_with_consent_and_account(field: Client, officer: User) -> None:
    body = household_body(phone="１９９ 1234 5678", tenure="certificate", tenure_number=" 从林证字 12 ")
    answer = post(field, "households", body)
    assert answer.status_code == 201
    household = Household.objects.get()
    assert answer.json() == {
        "public_id": household.public_id,
        "client_uuid": body["client_uuid"],
        "village_code": factories.VILLAGE,
        "ordinal": 1,
        "masked_name": household.masked_name,
        "masked_phone": "199****5678",
        "registered_at": timezone.localtime(household.registered_at).isoformat(),
    }
    assert (household.head_name, household.id_number, household.phone, household.tenure_number) == (
        body["head_name"], body["id_number"], "19912345678", "从林证字 12",
    )  # fmt: skip
    assert len(household.public_id) == 20
    assert household.registered_by == officer
    consent = Consent.objects.get()
    assert (consent.household, consent.text.version, consent.withdrawn_at) == (household, "1", None)
    account = Account.objects.get()
    assert (account.code, account.kind, account.owner) == (f"household:{household.pk}", "household", household.pk)


@pytest.mark.django_db
def test_households_of_a_village_are_numbered_one_after_another(field: Client) -> None:
    for ordinal in (1, 2, 3):
        assert post(field, "households", household_body()).json()["ordinal"] == ordinal
    assert post(field, "households", household_body(village_code=factories.OTHER_VILLAGE)).json()["ordinal"] == 1


@pytest.mark.django_db
def test_a_village_has_numbers_for_999_households(field: Client) -> None:
    body = household_body()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trees_division SET households_numbered = 998 WHERE code = %s", [factories.VILLAGE])
    assert post(field, "households", body).json()["ordinal"] == 999
    before = stored()
    answer = post(field, "households", household_body())
    assert (answer.status_code, answer.json()["code"]) == (400, "no_ordinal_left")
    assert stored() == before


@pytest.mark.django_db
@pytest.mark.parametrize("fault", BAD)
def test_a_bad_household_is_a_sentence_and_nothing_is_stored(field: Client, fault: str) -> None:
    changes, code, sentence = BAD[fault]
    body = household_body(**changes)
    before = stored()
    answer = post(field, "households", body)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["message"]) == (code, sentence)
    assert stored() == before


@pytest.mark.django_db
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_field_is_named(field: Client, name: str) -> None:
    body = household_body(**{name: MALFORMED[name]})
    before = stored()
    answer = post(field, "households", body)
    assert answer.status_code == 400
    assert (answer.json()["code"], list(answer.json()["fields"])) == ("invalid", [name])
    assert answer.json()["message"].startswith(f"{name}: ")
    assert stored() == before
    del body[name]
    if name != "tenure_number":
        assert list(post(field, "households", body).json()["fields"]) == [name]


@pytest.mark.django_db
def test_without_a_programme_nothing_can_be_registered_and_the_officer_is_told(field: Client) -> None:
    body = household_body()
    Programme.objects.all().delete()
    answer = post(field, "households", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "no_programme")


@pytest.mark.django_db
def test_the_same_record_again_gets_the_same_answer_and_another_under_its_uuid_409(field: Client) -> None:
    body = household_body()
    first = post(field, "households", body)
    before = stored()
    again = post(field, "households", body)
    assert (again.status_code, again.json()) == (201, first.json())
    for changes in ({"area_mu": "1.51"}, {"phone": "19987654321"}, {"head_name": "别人"}, {"category": "smallholder"}):
        answer = post(field, "households", {**body, **changes})
        assert (answer.status_code, answer.json()["code"]) == (409, "different_content"), changes
        assert answer.json()["record"] == first.json()
    other_county = signed_in(factories.user(roles.OFFICER, "522631"))
    answer = post(other_county, "households", {**body, "village_code": factories.OTHER_COUNTY})
    assert (answer.status_code, set(answer.json())) == (409, {"code", "message"})
    assert stored() == before


@pytest.mark.django_db
@pytest.mark.parametrize("spelling", [str, lambda n: f" {n[:6]} {n[6:14]}-{n[14:]}", lambda n: n.lower()])
def test_an_id_number_is_registered_once(field: Client, spelling: Any) -> None:
    body = household_body()
    assert post(field, "households", body).status_code == 201
    before = stored()
    other = household_body(id_number=spelling(body["id_number"]), village_code=factories.OTHER_VILLAGE)
    answer = post(field, "households", other)
    assert (answer.status_code, answer.json()) == (
        409, {"code": "household_exists", "message": "A household with this ID number is registered already. Look it up"
              " instead of adding it again."},
    )  # fmt: skip
    assert stored() == before


@pytest.mark.django_db
def test_households_may_share_a_phone(field: Client) -> None:
    body = household_body()
    post(field, "households", body)
    assert post(field, "households", household_body(phone=body["phone"])).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_the_same_record_ten_times_at_once_is_one_record() -> None:
    officer = factories.user(roles.OFFICER)
    body = household_body()
    clients = [signed_in(officer) for _ in range(10)]
    answers = at_once(*(lambda client=client: post(client, "households", body) for client in clients))
    assert [answer.status_code for answer in answers] == [201] * 10
    assert len({answer.json()["public_id"] for answer in answers}) == 1
    after = stored()
    assert (after["Household"], after["Consent"], after["Account"], after["ordinals"]) == (1, 1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_of_ten_households_with_one_id_number_at_once_one_is_stored() -> None:
    officer = factories.user(roles.OFFICER)
    first = household_body()
    bodies = [{**first, "client_uuid": str(uuid.uuid4()), "village_code": village}
              for village in (factories.VILLAGE, factories.OTHER_VILLAGE) * 5]  # fmt: skip
    clients = [signed_in(officer) for _ in bodies]
    answers = at_once(
        *(lambda pair=pair: post(pair[0], "households", pair[1]) for pair in zip(clients, bodies, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 9
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"household_exists"}
    after = stored()
    assert (after["Household"], after["Consent"], after["Account"], after["ordinals"]) == (1, 1, 1, 1)


class TestPage:
    PATH = "/officer/households/new/"

    @pytest.mark.django_db
    def test_it_offers_the_officer_s_villages_and_the_newest_consent_text(self, field: Client) -> None:
        factories.household_data()
        ConsentText.objects.create(version="2", body="The second text.")
        page = Page(field.get(self.PATH))
        assert (page.values["consent_version"], page.said) == ("2", [])
        assert uuid.UUID(page.values["client_uuid"])
        assert "The second text." in page.text
        for code, offered in ((factories.VILLAGE, True), (factories.OTHER_VILLAGE, True),
                              (factories.OTHER_COUNTY, False), ("522633102000", False)):  # fmt: skip
            assert (f'value="{code}"' in page.text) == offered

    @pytest.mark.django_db
    def test_a_household_is_registered_and_its_page_follows(self, field: Client) -> None:
        answer = field.post(self.PATH, household_form())
        household = Household.objects.get()
        assert (answer.status_code, answer["Location"]) == (302, f"/officer/households/{household.public_id}/")
        assert Consent.objects.filter(household=household).count() == 1
        after = field.get(answer["Location"]).content.decode()
        assert "The household is registered. Add its bank account and its trees." in after
        for secret in (household.head_name, household.id_number, household.phone):
            assert secret not in after

    @pytest.mark.django_db
    def test_sent_twice_it_is_one_household(self, field: Client) -> None:
        form = household_form()
        first, second = field.post(self.PATH, form), field.post(self.PATH, form)
        assert first["Location"] == second["Location"]
        assert Household.objects.count() == 1

    @pytest.mark.django_db
    @pytest.mark.parametrize("fault", BAD)
    def test_a_bad_household_is_said_on_the_page_which_keeps_what_was_typed(self, field: Client, fault: str) -> None:
        changes, _code, sentence = BAD[fault]
        form = household_form(**{{"village_code": "village"}.get(key, key): value for key, value in changes.items()})
        if form["consent_signed"] is False:
            del form["consent_signed"]
        before = stored()
        answer = field.post(self.PATH, form)
        assert answer.status_code == 400
        assert stored() == before
        page = Page(answer)
        if fault == "name of spaces":
            assert "This field is required." in page.said
        elif "village" in fault:
            assert "Select a valid choice. That choice is not one of the available choices." in page.said
        else:
            assert sentence in page.said
        kept = ["client_uuid", "phone", "id_number", "area_mu", "category", "tenure", "consent_version"]
        assert {name: page.values.get(name) for name in kept} == {name: form[name] for name in kept}
        if "village" not in fault:
            assert page.values["village"] == factories.VILLAGE

    @pytest.mark.django_db
    def test_a_second_household_with_the_id_number_is_a_409_on_the_page(self, field: Client) -> None:
        form = household_form()
        field.post(self.PATH, form)
        before = stored()
        answer = field.post(self.PATH, household_form(id_number=form["id_number"]))
        assert answer.status_code == 409
        assert any(
            said.startswith("A household with this ID number is registered already.") for said in Page(answer).said
        )
        assert stored() == before


class TestTables:
    """What the tables refuse, whoever writes to them."""

    @pytest.mark.django_db(transaction=True)
    def test_a_household_without_consent_cannot_be_committed(self) -> None:
        first = factories.household()
        with pytest.raises(IntegrityError, match="has no consent"), transaction.atomic():
            Household.objects.create(
                client_uuid=uuid.uuid4(), programme=first.programme, village=first.village, ordinal=2, head_name="x",
                id_number="y", phone="z", category="poor", area_mu=1, tenure="returned_farmland",
                registered_by=first.registered_by,
            )  # fmt: skip
        assert Household.objects.count() == 1

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE trees_consenttext SET body = 'other'", "UPDATE trees_consenttext SET version = '9'",
            "DELETE FROM trees_consenttext", "UPDATE trees_consent SET signed_at = now()", "DELETE FROM trees_consent",
            "UPDATE trees_consent SET text_id = text_id + 1",
            "UPDATE trees_tree SET number = '5226331022020010019'", "UPDATE trees_tree SET household_id = 1",
            "UPDATE trees_tree SET ordinal = 2", "DELETE FROM trees_tree",
            "UPDATE trees_enrolment SET last_vintage = 2099", "DELETE FROM trees_enrolment",
        ],
    )  # fmt: skip
    def test_what_was_signed_and_numbered_stays(self, sql: str) -> None:
        factories.approved_tree()
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("change", "rule"),
        [
            ("area_mu = 0", "trees_household_area"), ("tenure = 'certificate'", "trees_household_clear_tenure"),
            ("tenure = 'none'", "trees_household_clear_tenure"), ("trees_numbered = 1000", "ordinals_left"),
            ("ordinal = 1", "trees_household_ordinal"), ("id_number_digest = 'taken'", "id_number_digest"),
            ("public_id = 'taken'", "public_id"), ("page_key = repeat('x', 22)", "page_key"),
            ("page_key = repeat('x', 21)", "page_key_whole"), ("page_key = repeat('/', 22)", "page_key_whole"),
            ("client_uuid = '00000000-0000-0000-0000-000000000000'", "client_uuid"),
        ],
    )  # fmt: skip
    def test_households_keep_their_rules_by_plain_sql(self, change: str, rule: str) -> None:
        factories.household(client_uuid=uuid.UUID(int=0))
        Household.objects.update(id_number_digest="taken", public_id="taken", page_key="x" * 22)
        second = factories.household()
        with pytest.raises(IntegrityError, match=rule), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE trees_household SET {change} WHERE id = %s", [second.pk])

    @pytest.mark.django_db
    def test_a_consent_can_be_withdrawn_and_one_at_a_time_is_in_force(self) -> None:
        consent = Consent.objects.get(household=factories.household())
        again = {"household": consent.household, "text": consent.text, "signed_at": timezone.now()}
        with pytest.raises(IntegrityError, match="one_in_force"), transaction.atomic():
            Consent.objects.create(**again)
        with pytest.raises(IntegrityError, match="consent_order"), transaction.atomic():
            Consent.objects.update(withdrawn_at=consent.signed_at - timedelta(days=1))
        Consent.objects.update(withdrawn_at=timezone.now())
        Consent.objects.create(**again)
