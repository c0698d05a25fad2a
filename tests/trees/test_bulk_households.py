"""Households by the file: encrypted, with consents and accounts, under ordinals that go on."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone, translation

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger.models import Account
from payouts.demo.people import villager
from tests import factories
from tests.trees.bulk import HOUSEHOLD_HEADING, household_row, report, run, write_csv
from tests.trees.registry import stored
from trees import registration
from trees.models import Consent, ConsentText, Household, Import, Programme

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english() -> Any:
    with translation.override("en"):
        yield


def households_file(path: Path, *rows: list[str]) -> Path:
    return write_csv(path / "households.csv", HOUSEHOLD_HEADING, *rows)


def test_households_are_stored_as_if_registered_one_by_one(officer: User, tmp_path: Path) -> None:
    first = factories.household(officer)
    rows = [household_row(500), household_row(501, village=factories.OTHER_VILLAGE), household_row(502)]
    file = households_file(tmp_path, *rows)
    returncode, said = run("import_households", file, officer)
    assert (returncode, said.splitlines()[-1]) == (0, "3 of 3 rows stored.")
    made = list(Household.objects.exclude(pk=first.pk).order_by("pk"))
    assert sorted(str(household) for household in made) == [
        f"{factories.OTHER_VILLAGE}-001", f"{factories.VILLAGE}-002", f"{factories.VILLAGE}-003",
    ]  # fmt: skip
    one = Household.objects.get(village=factories.VILLAGE, ordinal=2)
    person = villager(500)
    assert (one.head_name, one.id_number, one.phone) == (person.name, person.id_number, person.phone)
    assert (one.category, one.area_mu, one.tenure, one.tenure_number, one.trees_numbered) == (
        "poor", Decimal("1.5"), "returned_farmland", "", 0,
    )  # fmt: skip
    assert (one.registered_by, one.imported_from, one.programme) == (officer, Import.objects.get(), first.programme)
    consent = Consent.objects.get(household=one)
    assert (consent.text.version, timezone.localtime(consent.signed_at).date().isoformat()) == ("1", "2026-03-05")
    assert set(Account.objects.filter(kind="household").values_list("owner", flat=True)) == {
        household.pk for household in [first, *made]
    }
    # The digests find them as they find any other: nobody registers the same person again.
    with pytest.raises(DomainError) as known:
        registration.register_household(officer=officer, **factories.household_data(id_number=person.id_number))
    assert known.value.code == "household_exists"
    assert factories.household(officer).ordinal == 4


def test_nothing_of_a_person_lies_in_plain_text_while_staged(officer: User, tmp_path: Path) -> None:
    from carbonsink.tables import open_table
    from trees.imports import loading

    person = villager(500)
    wrong = villager(501)
    rows = [household_row(500), household_row(501, id_number=wrong.id_number[:-1] + "?", phone="1391234567")]
    file = households_file(tmp_path, *rows)
    with file.open("rb") as opened:
        table = open_table(opened, file.name)
        batch, heading = loading.begin_import(Import.Kind.HOUSEHOLDS, table, by=officer, given={})
        loading.stage(batch, table, heading)
    loading.check(batch)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(s)::text FROM trees_import_{batch.pk} s")
        staged = " ".join(row[0] for row in cursor.fetchall())
    problems = " ".join(problem.value for problem in batch.problems.all())
    for secret in (person.id_number, person.phone, person.name, wrong.id_number[:-1], "1391234567"):
        assert secret not in staged + problems
    assert {problem.column for problem in batch.problems.all()} == {"id_number", "phone"}


def test_the_codes_come_back_beside_the_sender_s_own_numbers(officer: User, tmp_path: Path) -> None:
    rows = [["B-7", *household_row(500)], ["-7", *household_row(501)]]
    file = write_csv(tmp_path / "households.csv", ["序号", *HOUSEHOLD_HEADING], *rows)
    assert run("import_households", file, officer)[0] == 0
    lines = (tmp_path / "households.csv.codes.csv").read_text(encoding="utf-8-sig").splitlines()
    one = Household.objects.get(ordinal=1)
    assert lines[1] == f"2,B-7,{factories.VILLAGE}001,{one.public_id},{one.masked_name}"
    assert lines[2].startswith(f"3,'-7,{factories.VILLAGE}002,")
    assert villager(500).name not in "".join(lines)


BAD = [
    ({"village": factories.OTHER_COUNTY}, "村代码", "This village is not among yours. Choose one from the list."),
    ({"village": "522633102000"}, "村代码", "This village is not among yours. Choose one from the list."),
    ({"village": "52263310220"}, "村代码", "This number has too few digits"),
    ({"name": ""}, "户主姓名", "This value is missing. Fill it in."),
    ({"name": "长" * 41}, "户主姓名", "This has more than 40 characters. Shorten it."),
    ({"id_number": "522633190001011234"}, "身份证号", "The ID number is not right. Compare all 18 characters with the card."),
    ({"id_number": "5.22633E+17"}, "身份证号", "The spreadsheet has turned this number into scientific notation"),
    ({"id_number": "52263319000101123"}, "身份证号", "This number has too few digits"),
    ({"phone": "1391234567"}, "联系电话", "Enter the 11 digits of a mobile number, such as 13912345678."),
    ({"phone": "1.39E+10"}, "联系电话", "The spreadsheet has turned this number into scientific notation"),
    ({"category": "富裕户"}, "农户类别", "This is not among the possible values: 建档立卡贫困户 (poor), 监测户 (monitored), 农户 (smallholder)."),
    ({"area": "0"}, "林地面积(亩)", "Enter the area in mu, such as 1.5."),
    ({"area": "1,234"}, "林地面积(亩)", "This number can be read in two ways."),
    ({"area": "=SUM(A1:A3)"}, "林地面积(亩)", "This is a formula without a value."),
    ({"tenure": "林权证"}, "林权证号", "Enter the number of the forest-right certificate."),
    ({"version": ""}, "同意书版本", "Without the household's signed consent nothing is stored."),
    ({"version": "2"}, "同意书版本", "This version of the consent text is not known."),
    ({"signed": ""}, "签署日期", "Without the household's signed consent nothing is stored."),
    ({"signed": "2999-01-01"}, "签署日期", "This day is in the future. Correct the date."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "column", "sentence"), BAD, ids=str)
def test_a_bad_row_is_named_by_line_column_and_reason(
    change: dict[str, str], column: str, sentence: str, officer: User, tmp_path: Path
) -> None:
    file = households_file(tmp_path, household_row(500), household_row(501, **change))
    before = stored()
    assert run("import_households", file, officer)[0] == 1
    assert [(row[0], row[1]) for row in report(file)] == [("3", column)]
    assert report(file)[0][3].startswith(sentence)
    assert {**stored(), "StateChange": 0} == {**before, "StateChange": 0}


def test_an_id_number_counts_once_in_the_file_and_in_the_registry(officer: User, tmp_path: Path) -> None:
    there = factories.household(officer)
    twice = household_row(500)
    file = households_file(
        tmp_path, twice, household_row(501, id_number=there.id_number), household_row(502, id_number=twice[2])
    )
    assert run("import_households", file, officer, "--partial")[0] == 1
    masked = f"{twice[2][:6]}**********{twice[2][-2:]}"
    assert report(file) == [
        ["3", "身份证号", there.masked_id_number, "A household with this ID number is registered already. Look it up instead of adding it again."],
        ["4", "身份证号", masked, "This ID number stands in line 2 too. Keep one of the two rows."],
    ]  # fmt: skip
    assert Household.objects.count() == 2


def test_a_village_gives_999_numbers(officer: User, tmp_path: Path) -> None:
    village = factories.household(officer).village
    type(village).objects.filter(pk=village.pk).update(households_numbered=998)
    file = households_file(tmp_path, household_row(500), household_row(501))
    assert run("import_households", file, officer, "--partial")[0] == 1
    assert report(file)[0][1:] == ["村代码", village.code, "This village has 999 households: no number is left."]
    assert Household.objects.filter(ordinal=999).count() == 1


def test_what_a_spreadsheet_dropped_comes_back_only_where_it_is_clear(officer: User, tmp_path: Path) -> None:
    row = household_row(500, village=f"{factories.VILLAGE}.0", version="7", phone="+86 199-1234-5678")
    ConsentText.objects.create(version="07", body="…")
    assert run("import_households", households_file(tmp_path, row), officer)[0] == 0
    one = Household.objects.get()
    assert (one.village_id, one.phone, one.consents.get().text.version) == (factories.VILLAGE, "19912345678", "07")
    ConsentText.objects.create(version="007", body="…")
    file = households_file(tmp_path, household_row(501, version="7"))
    assert run("import_households", file, officer)[0] == 1  # 07 or 007?
    assert report(file)[0][1] == "同意书版本"


def test_without_a_programme_there_is_a_sentence(officer: User, tmp_path: Path) -> None:
    file = households_file(tmp_path, household_row(500))
    Programme.objects.all().delete()
    assert run("import_households", file, officer) == (
        1, "There is no programme yet. Ask your county office to enter one.\n",
    )  # fmt: skip
    assert Household.objects.count() == 0


# The same wrong value at the single door and in a file.
BOTH = [
    ("village_code", "village", factories.OTHER_COUNTY),
    ("id_number", "id_number", "522633190001011234"),
    ("phone", "phone", "12912345678"),
    ("area_mu", "area", "0"),
    ("area_mu", "area", "10000"),
    ("tenure", "tenure", "certificate"),
]


@pytest.mark.parametrize(("name", "column", "value"), BOTH)
def test_a_file_and_the_single_door_agree(name: str, column: str, value: str, officer: User, tmp_path: Path) -> None:
    data = factories.household_data(**{name: Decimal(value) if name == "area_mu" else value})
    with pytest.raises(DomainError) as refused:
        registration.register_household(officer=officer, **data)
    file = households_file(tmp_path, household_row(500, **{column: value}))
    assert run("import_households", file, officer)[0] == 1
    assert [row[3] for row in report(file)] == [refused.value.message]
    assert Household.objects.count() == 0
