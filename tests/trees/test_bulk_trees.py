"""Trees by the file: the same rules, the same numbers and the same second person as for a single one."""

import io
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone, translation

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from tests import factories
from tests.trees.bulk import TREE_HEADING, code, fir, report, run, tree_row, write_csv, write_xlsx
from tests.trees.registry import stored
from trees import photos, registration, review
from trees.models import Household, Import, Species, Tree
from trees.numbers import is_tree_number, tree_number

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english() -> Any:
    with translation.override("en"):
        yield


@pytest.fixture
def household(officer: User) -> Household:
    return factories.household(officer)


def test_trees_wait_for_photo_and_reviewer_under_numbers_that_go_on(
    officer: User, household: Household, tmp_path: Path
) -> None:
    before = factories.tree(household, photo=False)
    rows = [tree_row(household, dbh_cm=f"{5 + n / 10}") for n in range(12)]
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *rows)
    assert run("import_trees", file, officer) == (0, "12 of 12 rows stored.\n")
    trees = list(Tree.objects.exclude(pk=before.pk).order_by("ordinal"))
    assert [tree.ordinal for tree in trees] == list(range(2, 14))
    assert [tree.number for tree in trees] == [
        tree_number(household.village_id, household.ordinal, ordinal) for ordinal in range(2, 14)
    ]
    assert all(is_tree_number(tree.number) for tree in trees)
    assert [tree.dbh_cm for tree in trees] == [Decimal(n) / 10 for n in range(50, 62)]
    batch = Import.objects.get()
    one = trees[0]
    assert (one.state, one.picture, one.registered_by, one.measured_by, one.imported_from, one.revision) == (
        "submitted", None, officer, officer, batch, 1,
    )  # fmt: skip
    assert (one.species, one.lon, one.lat, one.accuracy_m) == (fir(), Decimal("108.921"), Decimal("25.912"), 8)
    assert (batch.state, batch.rows_read, batch.rows_wrong, batch.rows_stored) == ("stored", 12, 0, 12)
    assert [change.to_state for change in batch.history()] == ["staged", "checked", "stored"]
    assert list(one.history()) == []  # As after a single registration.
    household.refresh_from_db()
    assert household.trees_numbered == 13
    # The next single one goes on after the file's.
    assert factories.tree(household, photo=False).ordinal == 14


def test_the_number_s_check_digit_is_right_for_every_ordinal(
    officer: User, household: Household, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *[tree_row(household) for _ in range(999)])
    assert run("import_trees", file, officer)[0] == 0
    assert set(Tree.objects.values_list("number", flat=True)) == {
        tree_number(household.village_id, household.ordinal, ordinal) for ordinal in range(1, 1000)
    }


def test_the_same_file_again_stores_nothing_and_says_so(officer: User, household: Household, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household), tree_row(household))
    run("import_trees", file, officer)
    before = stored()
    again = write_csv(tmp_path / "renamed.csv", TREE_HEADING, tree_row(household), tree_row(household))
    returncode, said = run("import_trees", again, officer)
    assert (returncode, said) == (
        0, "renamed.csv was loaded before, by officer: 2 rows. Nothing was stored again.\n",
    )  # fmt: skip
    assert stored() == before


def test_who_loaded_a_tree_cannot_approve_it(
    officer: User, reviewer: User, household: Household, tmp_path: Path
) -> None:
    run("import_trees", write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household)), officer)
    tree = Tree.objects.get()
    with pytest.raises(DomainError) as refused:
        review.approve_tree(tree, reviewer=officer)
    assert refused.value.code == "same_person"
    with pytest.raises(DomainError) as early:
        review.approve_tree(tree, reviewer=reviewer)
    assert early.value.code == "no_photo"
    tree.refresh_from_db()
    assert tree.state == "submitted"
    photos.process(photos.take_photo(tree, io.BytesIO(factories.picture()), officer=officer))
    with pytest.raises(DomainError):
        review.approve_tree(tree, reviewer=officer)
    review.approve_tree(tree, reviewer=reviewer)
    tree.refresh_from_db()
    assert tree.state == "approved"


def test_one_bad_row_keeps_all_out_and_partial_lets_the_good_ones_in(
    officer: User, household: Household, tmp_path: Path
) -> None:
    rows = [
        tree_row(household),
        tree_row(household, dbh_cm="0"),
        tree_row(household, species="铁树"),
        tree_row(household),
    ]
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *rows)
    before = stored()
    returncode, said = run("import_trees", file, officer)
    assert returncode == 1
    assert "2 of 4 rows are fine; nothing was stored." in said
    assert {**stored(), "StateChange": 0} == {**before, "StateChange": 0}
    assert report(file) == [
        ["3", "dbh_cm", "0.0", "The DBH must be more than 0 and less than 500 cm. Measure it again."],
        ["4", "species", "铁树", "This species is not on the list. Choose one of the list."],
    ]
    returncode, said = run("import_trees", file, officer, "--partial")
    assert returncode == 1
    assert "2 of 4 rows stored." in said
    assert list(Tree.objects.order_by("ordinal").values_list("ordinal", flat=True)) == [1, 2]
    assert [batch.state for batch in Import.objects.order_by("pk")] == ["cancelled", "stored"]
    assert no_staging_left()


def no_staging_left() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(r"SELECT count(*) FROM pg_class WHERE relname ~ '^trees_import_\d+$'")
        return bool(cursor.fetchone()[0] == 0)


def test_a_dry_run_reports_and_stores_nothing(officer: User, household: Household, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    assert run("import_trees", file, officer, "--dry-run") == (0, "1 of 1 rows are fine; nothing was stored.\n")
    assert Tree.objects.count() == 0
    assert no_staging_left()
    assert run("import_trees", file, officer)[0] == 0
    assert Tree.objects.count() == 1


def test_a_household_is_found_by_code_public_id_or_id_number(
    officer: User, household: Household, tmp_path: Path
) -> None:
    names = [code(household), str(household), household.public_id, household.id_number, household.id_number.lower()]
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *[tree_row(name) for name in names])
    assert run("import_trees", file, officer)[0] == 0
    assert list(Tree.objects.order_by("ordinal").values_list("household", "ordinal")) == [
        (household.pk, ordinal) for ordinal in range(1, 6)
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(i)::text || to_jsonb(t)::text FROM trees_import i, trees_tree t")
        assert not any(household.id_number in row[0] for row in cursor.fetchall())


def test_households_of_others_are_unknown_and_their_id_numbers_masked(
    officer: User, household: Household, tmp_path: Path
) -> None:
    theirs = factories.household(village_code=factories.OTHER_COUNTY)
    rows = [tree_row(theirs), tree_row(theirs.id_number), tree_row("522633102202999"), tree_row("老山家")]
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *rows)
    assert run("import_trees", file, officer)[0] == 1
    sentence = "This household is not among yours. Register it first."
    masked = f"{theirs.id_number[:6]}**********{theirs.id_number[-2:]}"
    assert report(file) == [
        ["2", "household", code(theirs), sentence], ["3", "household", masked, sentence],
        ["4", "household", "522633102202999", sentence], ["5", "household", "老山家", sentence],
    ]  # fmt: skip
    everywhere = factories.user(roles.ADMINISTRATOR)
    good = write_csv(tmp_path / "good.csv", TREE_HEADING, *rows[:2])
    assert run("import_trees", good, everywhere)[0] == 0


@pytest.mark.parametrize("role", [roles.BUYER, roles.REVIEWER, roles.FINANCE])
def test_only_officers_and_administrators_load_files(role: str, household: Household, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    assert run("import_trees", file, factories.user(role)) == (1, "Only officers and administrators load files.\n")
    assert (Tree.objects.count(), Import.objects.count()) == (0, 0)


def test_the_thousandth_tree_of_a_household_has_no_number(officer: User, household: Household, tmp_path: Path) -> None:
    Household.objects.filter(pk=household.pk).update(trees_numbered=998)
    other = factories.household(officer)
    rows = [tree_row(household), tree_row(household), tree_row(other), tree_row(household.public_id)]
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, *rows)
    assert run("import_trees", file, officer, "--partial")[0] == 1
    assert [row[0] for row in report(file)] == ["3", "5"]
    assert report(file)[0][3] == "This household has 999 trees: no number is left."
    assert set(Tree.objects.values_list("household", "ordinal")) == {(household.pk, 999), (other.pk, 1)}


def test_a_consent_that_ends_between_check_and_storing_stops_the_file(
    officer: User, household: Household, tmp_path: Path
) -> None:
    from carbonsink.tables import open_table
    from trees.imports import loading

    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    with file.open("rb") as opened:
        table = open_table(opened, file.name)
        batch, heading = loading.begin_import(Import.Kind.TREES, table, by=officer, given={})
        loading.stage(batch, table, heading)
        loading.check(batch)
    registration.withdraw_consent(household, by=officer)
    with pytest.raises(DomainError) as refused:
        loading.store(batch, partial=False)
    assert refused.value.code == "changed_meanwhile"
    assert (Tree.objects.count(), Import.objects.get().state) == (0, "checked")
    household.refresh_from_db()
    assert household.trees_numbered == 0
    assert run("import_trees", file, officer)[0] == 1
    assert report(file)[0][3] == "The household has withdrawn its consent. Have it signed again first."


TODAY = timezone.localdate()
LAST_YEAR = TODAY.year - 1
# What an officer could send: one truth for both doors.
CASES: list[dict[str, Any]] = [
    {}, {"dbh_cm": "5.0"}, {"dbh_cm": "4.9"}, {"dbh_cm": "0"}, {"dbh_cm": "-1"}, {"dbh_cm": "500"}, {"dbh_cm": "30.1"},
    {"dbh_cm": "30.0"}, {"dbh_cm": "4.9", "planted_year": TODAY.year - 3}, {"dbh_cm": "4.9", "planted_year": TODAY.year - 2},
    {"dbh_cm": None, "planted_year": TODAY.year - 3}, {"dbh_cm": None, "planted_year": LAST_YEAR}, {"dbh_cm": None},
    {"dbh_cm": "8", "planted_year": TODAY.year + 1}, {"dbh_cm": "31", "planted_year": TODAY.year + 1},
    {"measured_on": TODAY + timedelta(days=1)}, {"measured_on": TODAY - timedelta(days=400)},
    {"planted_year": LAST_YEAR, "measured_on": TODAY.replace(year=LAST_YEAR - 1, day=1)},
    {"lon": None}, {"lat": None}, {"lon": None, "lat": None}, {"lon": "0", "lat": "0"}, {"lon": "0.0000001", "lat": "-0.0000004"},
    {"lon": "0", "lat": "25.9"}, {"accuracy_m": None}, {"accuracy_m": 0}, {"dbh_cm": "4.9", "planted_year": TODAY.year},
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_and_the_single_door_agree(
    case: dict[str, Any], officer: User, household: Household, tmp_path: Path
) -> None:
    factories.programme(max_dbh_cm=Decimal(30))
    household.programme.refresh_from_db()
    numbers = {name: Decimal(case[name]) for name in ("dbh_cm", "lon", "lat") if case.get(name)}
    data = factories.tree_data(**{**case, **numbers})
    try:
        single: Any = registration.register_tree(officer=officer, household=household, **data)
        said = ""
    except DomainError as error:
        single, said = None, error.message
    values = {name: "" if value is None else value for name, value in case.items()}
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household, **values))
    returncode, _said = run("import_trees", file, officer)
    assert [row[3] for row in report(file)] == ([said] if said else [])
    assert returncode == (1 if said else 0)
    if single is not None:
        twin = Tree.objects.exclude(pk=single.pk).get()
        single.refresh_from_db()
        same = [
            "household", "species", "dbh_cm", "planted_year", "lon", "lat", "accuracy_m", "measured_on", "captured_at",
            "state", "registered_by", "measured_by", "revision", "picture",
        ]  # fmt: skip
        assert [getattr(twin, name) for name in same] == [getattr(single, name) for name in same]


def test_girth_becomes_a_dbh_and_latin_names_are_species(officer: User, household: Household, tmp_path: Path) -> None:
    fir()
    heading = ["农户编号", "学名", "胸围（cm）", "调查日期"]
    rows = [[code(household), "CUNNINGHAMIA  lanceolata", "31.4", "2026年3月5日"]]
    assert run("import_trees", write_csv(tmp_path / "trees.csv", heading, *rows), officer)[0] == 0
    tree = Tree.objects.get()
    assert (tree.dbh_cm, tree.species, tree.measured_on.isoformat()) == (Decimal("10.0"), fir(), "2026-03-05")


def test_a_name_of_two_species_is_ambiguous(officer: User, household: Household, tmp_path: Path) -> None:
    fir()
    Species.objects.create(scientific_name="Cunninghamia konishii", name_zh="杉木")
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(household))
    assert run("import_trees", file, officer)[0] == 1
    assert report(file)[0][1:] == ["species", "杉木", "Several species have this name. Write the scientific name."]


def test_every_problem_of_a_row_is_told_at_once(officer: User, household: Household, tmp_path: Path) -> None:
    row = tree_row(
        household, species="", dbh_cm="sieben", lon="190", lat="", accuracy_m="40000", measured_on="31.2.2026"
    )
    file = write_csv(tmp_path / "trees.csv", TREE_HEADING, row)
    run("import_trees", file, officer)
    assert [(line[1], line[2]) for line in report(file)] == [
        ("accuracy_m", "40000"), ("dbh_cm", "sieben"), ("lon", "190"), ("lon", "190"), ("measured_on", "31.2.2026"), ("species", ""),
    ]  # fmt: skip


def test_columns_are_mapped_by_hand_and_doubles_are_refused(
    officer: User, household: Household, tmp_path: Path
) -> None:
    fir()
    heading = ["哪家", "什么树", "胸径", "DBH", "测量日期", "备注"]
    row = [code(household), "杉木", "8", "9", "2026-03-05", "靠路边"]
    file = write_csv(tmp_path / "trees.csv", heading, row)
    assert "lacks the column(s) household, species" in run("import_trees", file, officer, "--map=dbh_cm=DBH")[1]
    assert "“胸径” and “DBH” mean the same" in run("import_trees", file, officer)[1]
    assert "no column “dhb”" in run("import_trees", file, officer, "--map=dhb=胸径")[1]
    assert "no column “树”" in run("import_trees", file, officer, "--map=species=树")[1]
    assert Import.objects.count() == 0
    maps = ["--map=household=哪家", "--map=species=什么树", "--map=dbh_cm=dbh"]
    returncode, said = run("import_trees", file, officer, *maps)
    assert (returncode, said) == (
        0, "Columns that were not used: 胸径, 备注.\n1 of 1 rows stored.\n",
    )  # fmt: skip
    assert Tree.objects.get().dbh_cm == 9
    assert Import.objects.get().mapping["species"] == "什么树"


def test_a_form_as_offices_fill_it_is_understood(officer: User, household: Household, tmp_path: Path) -> None:
    """A title, columns in another order, one too many, cells merged and left empty, fullwidth digits, Excel's dates."""
    other = factories.household(officer)
    fir()

    def merge(sheet: Any) -> None:
        sheet.merge_cells("A1:F1")
        sheet.merge_cells("C4:C5")

    path = write_xlsx(
        tmp_path / "trees.xlsx",
        ["单株碳汇树登记表", None, None, None, None, None],
        ["填表人：", "滚老山", None, None, None, None],
        ["序号", "胸径（厘米）", "农户编号", "树种名称", "测定日期", "备注"],
        [1, "７．５", int(code(household)), "杉木", date(2026, 3, 5), None],
        [2, 8.25, None, "\u3000杉木 ", 46086, "路边"],
        [None, None, None, None, None, None],
        [3, "９cm", code(other), "杉木", "2026年3月5日", None],
        prepare=merge,
    )
    returncode, said = run("import_trees", path, officer)
    assert (returncode, said) == (0, "Columns that were not used: 序号, 备注.\n3 of 3 rows stored.\n")
    assert list(Tree.objects.order_by("pk").values_list("household", "dbh_cm", "measured_on")) == [
        (household.pk, Decimal("7.5"), date(2026, 3, 5)),
        (household.pk, Decimal("8.2"), date(2026, 3, 5)),
        (other.pk, Decimal("9.0"), date(2026, 3, 5)),
    ]


def test_a_formula_without_a_value_is_told_with_its_place(officer: User, household: Household, tmp_path: Path) -> None:
    fir()
    row = [code(household), "杉木", "=31.4/3.14", "2026-03-05"]
    path = write_xlsx(tmp_path / "trees.xlsx", ["农户编号", "树种", "胸径", "测量日期"], row)
    assert run("import_trees", path, officer)[0] == 1
    assert report(path) == [
        ["2", "胸径", "'=", "This is a formula without a value. Open the file in Excel, let it compute, and save it again."],
    ]  # fmt: skip


def test_a_row_with_more_cells_than_the_heading_is_refused(officer: User, household: Household, tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "trees.csv", TREE_HEADING, [*tree_row(household), "", "x"], [*tree_row(household), "", ""]
    )
    assert run("import_trees", file, officer, "--partial")[0] == 1
    assert [(row[0], row[3]) for row in report(file)] == [
        ("2", "This row has more cells than the heading. Look for a separator within a value."),
    ]  # fmt: skip
    assert Tree.objects.count() == 1
