"""Personal data at rest: what a dump of the database shows, how it is found, and how keys are rotated."""

import io
import uuid
from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from payouts.models import BankAccount, StatementRow
from tests import factories
from trees import registration
from trees.models import Household

HEAD, CARD, OTHER_CARD = "滚桂花", "6217990012345678909", "6217990012345678917"
ID_NUMBER, PHONE = "522633190101010018", "19912345678"


def rows(table: str) -> list[dict[str, Any]]:
    """A table as a dump of the database would show it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture
def world(db: None) -> Household:
    """A household with account, user and statement row whose personal data are known."""
    owner = factories.household(head_name=HEAD, id_number=ID_NUMBER, phone=PHONE, client_uuid=uuid.UUID(int=0))
    factories.account(owner, number=CARD, client_uuid=uuid.UUID(int=1))
    User.objects.create_user(phone=PHONE, password="x", name="officer")
    StatementRow.objects.create(
        bank="standin", serial=1, booked_at=timezone.now(), fen=-5, counterparty=HEAD, bank_reference="b", kind="payout"
    )
    return owner


def secrets_in_dump() -> list[str]:
    """Personal data, and long parts of it, found in the dump of all tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            text = "\n".join(row for (row,) in cursor.fetchall())
            for secret in (HEAD, ID_NUMBER, PHONE, CARD, ID_NUMBER[-8:], PHONE[-8:], CARD[-8:]):
                found += [f"{secret} in {table}"] if secret in text else []
    return found


def test_a_dump_of_all_tables_shows_no_personal_data(world: Household) -> None:
    assert secrets_in_dump() == []
    stored = rows("trees_household")[0]
    for name, value in (("head_name", HEAD), ("id_number", ID_NUMBER), ("phone", PHONE)):
        assert stored[name].startswith("gAAAA")
        assert stored[f"{name}_digest"] == crypto.digest(value)
    assert (world.head_name, world.id_number, world.phone) == (HEAD, ID_NUMBER, PHONE)
    assert BankAccount.objects.get().number == CARD


def test_the_hash_of_what_was_sent_cannot_be_guessed_without_the_key(world: Household, settings: Any) -> None:
    before = world.body_hash
    settings.FIELD_LOOKUP_KEYS = {"t1": "11" * 32}
    content = registration._hashes({"head_name": HEAD, "id_number": ID_NUMBER, "phone": PHONE})
    settings.FIELD_LOOKUP_KEYS = {"t1": "00" * 32}
    assert content != registration._hashes({"head_name": HEAD, "id_number": ID_NUMBER, "phone": PHONE})
    assert len(before) == 64


def test_the_same_value_is_encrypted_differently_each_time(world: Household) -> None:
    first = rows("trees_household")[0]["phone"]
    Household.objects.get().save(update_fields=["phone"])
    assert rows("trees_household")[0]["phone"] != first
    assert Household.objects.get().phone == PHONE


def test_encrypted_columns_cannot_be_searched_by_mistake(world: Household) -> None:
    with pytest.raises(FieldError, match="filter by its digest"):
        Household.objects.filter(phone=PHONE).count()
    assert Household.objects.filter(phone_digest__in=crypto.digests(PHONE)).get() == world
    assert not Household.objects.filter(phone_digest__in=crypto.digests("19912345679")).exists()


def test_a_user_s_phone_and_digest_cannot_part(world: Household) -> None:
    for column in ("phone", "phone_digest"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE accounts_user SET {column} = NULL WHERE phone IS NOT NULL")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("１３９ １２３４ ５６７８", "13912345678"), ("139-1234-5678", "13912345678"), ("139‑1234–5678", "13912345678"),
        (" 52263319010101001x\t", "52263319010101001X"), ("522633　1901 0101 001Ｘ", "52263319010101001X"),
        ("滚 桂花", "滚桂花"),
    ],
)  # fmt: skip
def test_spaces_dashes_and_fullwidth_letters_do_not_matter(written: str, meant: str) -> None:
    assert crypto.normalise(written) == meant
    assert crypto.digest(written) == crypto.digest(meant)


@given(st.text(alphabet="0１２-– 　xXｘＸ.滚桂花aＡ·"))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    once = crypto.normalise(text)
    assert crypto.normalise(once) == once


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_encryption(text: str) -> None:
    field = crypto.EncryptedField()
    stored = field.get_prep_value(text)
    assert field.from_db_value(stored) == text
    assert len(text) < 3 or text not in stored


@pytest.mark.parametrize(
    ("name", "shown"), [("滚小修", "滚*修"), ("王五", "王*"), ("王", "王*"), ("欧阳小修", "欧**修"), ("", "*")]
)
def test_names_are_masked(name: str, shown: str) -> None:
    assert crypto.mask_name(name) == shown


def test_numbers_are_masked_and_short_ones_wholly() -> None:
    assert crypto.mask(PHONE, 3, 4) == "199****5678"
    assert crypto.mask("1234") == "****"
    assert crypto.mask("1234567", 3, 4) == "*******"


class TestRotation:
    """The old keys are the ones of `world`; new ones come first, then the old ones go."""

    OLD = {"t1": "00" * 32}
    NEW = {"t2": "ab" * 32}

    @pytest.fixture(autouse=True)
    def keys(self, settings: Any, world: Household) -> None:
        self.settings, self.old_cipher = settings, settings.FIELD_ENCRYPTION_KEYS
        self.new_cipher = [Fernet.generate_key().decode()]
        settings.FIELD_ENCRYPTION_KEYS = self.new_cipher + self.old_cipher
        settings.FIELD_LOOKUP_KEYS = self.NEW | self.OLD

    def rotate(self) -> str:
        out = io.StringIO()
        call_command("rotate_keys", stdout=out)
        return out.getvalue()

    def new_keys_only(self) -> None:
        self.settings.FIELD_ENCRYPTION_KEYS, self.settings.FIELD_LOOKUP_KEYS = self.new_cipher, self.NEW

    def test_in_mid_rotation_old_and_new_rows_are_found(self, world: Household) -> None:
        newer = factories.household(phone=PHONE)
        assert newer.phone_digest.startswith("t2:")
        assert Household.objects.get(pk=world.pk).phone_digest.startswith("t1:")
        found = Household.objects.filter(phone_digest__in=crypto.digests(PHONE))
        assert set(found) == {world, newer}
        assert User.objects.by_identifier(PHONE) is not None

    def test_in_mid_rotation_an_id_number_is_still_taken(self, world: Household) -> None:
        with pytest.raises(DomainError) as refused:
            factories.household(id_number=ID_NUMBER)
        assert refused.value.code == "household_exists"
        assert Household.objects.count() == 1

    def test_in_mid_rotation_a_record_sent_again_is_the_same_record(self, world: Household) -> None:
        sent = factories.household_data(
            head_name=HEAD, id_number=ID_NUMBER, phone=PHONE, client_uuid=world.client_uuid, area_mu=Decimal("1.50")
        )
        assert registration.register_household(officer=world.registered_by, **sent) == world
        with pytest.raises(DomainError) as refused:
            registration.register_household(officer=world.registered_by, **sent | {"phone": "19912345679"})
        assert refused.value.code == "different_content"

    def test_afterwards_the_old_keys_are_not_needed_and_all_guards_still_hold(self, world: Household) -> None:
        out = self.rotate()
        for label in ("trees.Household: 1", "payouts.BankAccount: 1", "payouts.StatementRow: 1", "accounts.User: 3"):
            assert f"{label} rows" in out
        self.new_keys_only()
        found = Household.objects.get(phone_digest=crypto.digest(PHONE))
        assert (found.head_name, found.id_number, found.phone) == (HEAD, ID_NUMBER, PHONE)
        account = BankAccount.objects.get(number_digest=crypto.digest(CARD))
        assert (account.number, account.holder, account.state) == (CARD, HEAD, "approved")
        assert account.holder_digest == crypto.digest(HEAD)
        assert StatementRow.objects.get().counterparty == HEAD
        assert User.objects.by_identifier(PHONE) is not None
        for table in ("trees_household", "payouts_bankaccount", "accounts_user"):
            for row in rows(table):
                assert all(str(v).startswith("t2:") for k, v in row.items() if k.endswith("_digest") and v is not None)
        assert secrets_in_dump() == []

    def test_twice_in_a_row_is_fine(self, world: Household) -> None:
        self.rotate()
        self.rotate()
        self.new_keys_only()
        assert Household.objects.get().phone == PHONE
        assert [row["number_digest"] for row in rows("payouts_bankaccount")] == [crypto.digest(CARD)]

    def test_a_rotation_changes_nothing_but_ciphertext_and_digests(self, world: Household) -> None:
        tables = ("trees_household", "payouts_bankaccount", "payouts_statementrow", "accounts_user")
        private = {
            "head_name",
            "id_number",
            "phone",
            "number",
            "holder",
            "counterparty",
            "seal",
            "bank_name",
            "bank_code",
        }

        def keep(row: dict[str, Any]) -> dict[str, Any]:
            return {k: v for k, v in row.items() if k not in private and not k.endswith("_digest")}

        before = {table: [keep(row) for row in rows(table)] for table in tables}
        self.rotate()
        assert {table: [keep(row) for row in rows(table)] for table in tables} == before

    def test_a_missing_old_key_is_one_sentence_and_destroys_nothing(self, world: Household) -> None:
        before = rows("trees_household")
        self.new_keys_only()
        with pytest.raises(CommandError, match="encrypted with a key that is not in FIELD_ENCRYPTION_KEYS"):
            self.rotate()
        assert rows("trees_household") == before

    def test_an_account_number_cannot_be_changed_under_the_same_key(self, world: Household) -> None:
        self.rotate()
        account = BankAccount.objects.get()
        account.number = OTHER_CARD
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            account.save()
        assert BankAccount.objects.get().number == CARD
