"""The lists that an operator loads: divisions and species."""

import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from carbonsink.tables import read_csv
from tests import factories
from trees.management.commands.import_species import DEFAULT as SPECIES_CSV
from trees.models import Division, Species

pytestmark = pytest.mark.django_db
Write = Callable[..., Path]
DIVISIONS = [
    "code,name,level,parent_code",
    "520000000000,贵州省,province,",
    "522600000000,黔东南苗族侗族自治州,prefecture,520000000000",
    "522633000000,从江县,county,522600000000",
    "522633102000,洛香镇,township,522633000000",
    "522633102202,登岜村村民委员会,village,522633102000",
]
SPECIES = [
    "scientific_name,name_zh,name_en,form",
    "Cunninghamia lanceolata,杉木,Chinese fir,tree",
    "Phyllostachys edulis,毛竹,,bamboo",
]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "list.csv"
        path.write_bytes("\n".join([*lines, ""]).encode(encoding))
        return path

    return make


def run(command: str, *args: Any) -> tuple[str, str]:
    """What the command writes to its two streams."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(command, *args, stdout=out, stderr=err)
    except CommandError as error:
        assert error.returncode == 1
        err.write(f"CommandError: {error}\n")
    return out.getvalue(), err.getvalue()


def divisions() -> list[tuple[Any, ...]]:
    return list(Division.objects.order_by("code").values_list("code", "name", "level", "parent"))


class TestDivisions:
    def test_all_rows_are_stored(self, write: Write) -> None:
        assert run("import_divisions", write(*DIVISIONS)) == ("5 divisions stored.\n", "")
        assert divisions()[4] == ("522633102202", "登岜村村民委员会", "village", "522633102000")
        assert divisions()[0] == ("520000000000", "贵州省", "province", None)
        assert Division.objects.get(pk="522633102202").full_name == (
            "贵州省黔东南苗族侗族自治州从江县洛香镇登岜村村民委员会"
        )

    def test_a_file_as_spreadsheets_save_it_is_fine(self, write: Write) -> None:
        lines = [line.replace(",", " ,") if number else line for number, line in enumerate(DIVISIONS)]
        assert run("import_divisions", write(*(f"{line}\r" for line in lines), encoding="utf-8-sig"))[1] == ""
        assert len(divisions()) == 5

    def test_again_with_a_new_name_renames_and_keeps_what_was_numbered(self, write: Write) -> None:
        run("import_divisions", write(*DIVISIONS))
        Division.objects.filter(code="522633102202").update(households_numbered=7)
        assert run("import_divisions", write(*DIVISIONS[:-1], "522633102202,登岜社区,village,522633102000"))[1] == ""
        village = Division.objects.get(code="522633102202")
        assert (len(divisions()), village.name, village.households_numbered) == (5, "登岜社区", 7)

    def test_a_second_file_may_hang_on_the_first(self, write: Write) -> None:
        run("import_divisions", write(*DIVISIONS))
        assert run("import_divisions", write(DIVISIONS[0], "522633102203,新村,village,522633102000"))[1] == ""
        assert len(divisions()) == 6

    def test_a_dry_run_stores_nothing_and_finds_the_same_faults(self, write: Write) -> None:
        assert run("import_divisions", "--dry-run", write(*DIVISIONS)) == ("5 divisions are fine.\n", "")
        assert divisions() == []
        _, err = run("import_divisions", "--dry-run", write(*DIVISIONS, "1,x,village,522633102000"))
        assert "line 7" in err

    @pytest.mark.parametrize(
        ("row", "sentence"),
        [
            ("52263310220,短村,village,522633102000", "code “52263310220” has not 12 digits"),
            ("５２２６３３１０２２０２,宽村,village,522633102000", "has not 12 digits"),
            (DIVISIONS[5], "code 522633102202 is there twice"),
            ("522633102299,村,hamlet,522633102000", "level “hamlet” is none of province, prefecture, county, township, village"),
            ("522633103001,镇,township,522633000000", "code 522633103001 has more digits than a township may have"),
            ("522633102299,,village,522633102000", "the name is empty"),
            ("530000000000,云南省,province,520000000000", "a province has no parent"),
            ("522633103001,村,village,522633103000", "parent 522633103000 is not known: parents come first"),
            ("522633103001,村,village,", "parent (none) is not known: parents come first"),
            ("522633103001,村,village,522633102000", "522633103001 does not lie within 522633102000"),
            ("522633102203,村,village,522633102202", "522633102203 does not lie within 522633102202"),
            ("522633102203", "level “” is none of"),
            ("522633104000,镇,township,522633102202", "does not lie within"),
            ("522633102203," + "长" * 61 + ",village,522633102000", "the name has more than 60 characters"),
        ],
    )  # fmt: skip
    def test_a_bad_row_is_named_by_its_line_and_nothing_is_stored(self, write: Write, row: str, sentence: str) -> None:
        _, err = run("import_divisions", write(*DIVISIONS, row))
        first, last = err.splitlines()
        assert first.startswith("line 7: ")
        assert sentence in first
        assert last == "CommandError: 1 of the rows are wrong; nothing was stored."
        assert divisions() == []

    def test_every_bad_row_is_named(self, write: Write) -> None:
        _, err = run("import_divisions", write(DIVISIONS[0], "x,a,village,y", *DIVISIONS[1:], "z,b,county,y"))
        assert [line.partition(":")[0] for line in err.splitlines()] == ["line 2", "line 8", "CommandError"]
        assert "2 of the rows are wrong" in err

    @pytest.mark.parametrize(
        ("lines", "sentence"),
        [
            (["code,name,level", "520000000000,贵州省,province"], "the first line lacks the column(s) parent_code."),
            ([""], "the first line lacks the column(s) code, name, level, parent_code."),
        ],
    )
    def test_a_file_without_the_columns_is_refused(self, write: Write, lines: list[str], sentence: str) -> None:
        assert sentence in run("import_divisions", write(*lines))[1]

    def test_unreadable_files_are_one_sentence(self, write: Write, tmp_path: Path) -> None:
        assert "cannot be read: No such file" in run("import_divisions", tmp_path / "none.csv")[1]
        assert "cannot be read: Is a directory" in run("import_divisions", tmp_path)[1]
        assert "list.csv is not UTF-8. Save it again as “CSV UTF-8”." in run(
            "import_divisions", write(*DIVISIONS, encoding="gb18030")
        )[1]  # fmt: skip
        assert "is not a CSV file" in run("import_divisions", write(DIVISIONS[0], "5200\0" + "x" * 200_000))[1]

    def test_a_code_keeps_its_level(self, write: Write) -> None:
        """A village with households cannot become a township by a new file."""
        factories.divisions()
        before = divisions()
        _, err = run("import_divisions", write(DIVISIONS[0], "522633102000,洛香镇,village,522633000000"))
        assert "line 2: 522633102000 is known as a township" in err
        assert divisions() == before


class TestSpecies:
    def test_the_project_s_own_list_loads(self) -> None:
        out, err = run("import_species")
        assert (out, err) == ("21 species stored.\n", "")
        assert Species.objects.get(scientific_name="Phyllostachys edulis").form == "bamboo"
        assert run("import_species")[1] == ""
        assert Species.objects.count() == 21

    def test_again_with_new_values_changes_them(self, write: Write) -> None:
        run("import_species", write(*SPECIES))
        fir = Species.objects.get(scientific_name="Cunninghamia lanceolata")
        assert run("import_species", write(SPECIES[0], "Cunninghamia lanceolata,杉,fir,tree"))[1] == ""
        fir.refresh_from_db()
        assert (fir.name_zh, fir.name_en, Species.objects.count()) == ("杉", "fir", 2)

    def test_a_dry_run_stores_nothing(self, write: Write) -> None:
        assert run("import_species", "--dry-run", write(*SPECIES)) == ("2 species are fine.\n", "")
        assert Species.objects.count() == 0

    @pytest.mark.parametrize(
        ("row", "sentence"),
        [
            ("Schima superba,木荷,,shrub", "needs scientific_name, name_zh and form (tree or bamboo)"),
            (",木荷,,tree", "needs scientific_name, name_zh and form (tree or bamboo)"),
            ("Schima superba,,,tree", "needs scientific_name, name_zh and form (tree or bamboo)"),
            (SPECIES[1], "Cunninghamia lanceolata is there twice"),
            ("Schima superba," + "木" * 41 + ",,tree", "name_zh has more than 40 characters"),
            ("S" * 81 + ",木荷,,tree", "scientific_name has more than 80 characters"),
            ("Schima superba,木荷," + "x" * 61 + ",tree", "name_en has more than 60 characters"),
        ],
    )
    def test_a_bad_row_is_named_by_its_line_and_nothing_is_stored(self, write: Write, row: str, sentence: str) -> None:
        _, err = run("import_species", write(*SPECIES, row))
        assert err.splitlines()[0].startswith("line 4: ")
        assert sentence in err.splitlines()[0]
        assert err.splitlines()[-1] == "CommandError: 1 of the rows are wrong; nothing was stored."
        assert Species.objects.count() == 0

    def test_largest_diameters_are_loaded_where_they_are_known(self, write: Write) -> None:
        run("import_species")
        known = dict(Species.objects.values_list("scientific_name", "max_dbh_cm"))
        assert (known["Pinus armandii"], known["Phyllostachys edulis"], known["Camellia oleifera"]) == (100, 20, None)
        header = f"{SPECIES[0]},max_dbh_cm,anything"
        assert run("import_species", write(header, "Pinus armandii,华山松,,tree,62.5,x"))[1] == ""
        assert Species.objects.get(scientific_name="Pinus armandii").max_dbh_cm == Decimal("62.5")
        assert run("import_species", write(header, "Pinus armandii,华山松,,tree,,x"))[1] == ""
        assert Species.objects.get(scientific_name="Pinus armandii").max_dbh_cm is None

    def test_a_file_without_diameters_leaves_them(self, write: Write) -> None:
        run("import_species")
        assert run("import_species", write(SPECIES[0], "Pinus armandii,松,,tree"))[1] == ""
        pine = Species.objects.get(scientific_name="Pinus armandii")
        assert (pine.name_zh, pine.max_dbh_cm) == ("松", 100)

    @pytest.mark.parametrize("figure", ["thick", "-5", "0", "0.0", "1000", "62.55", "NaN", "６０"])
    def test_a_diameter_that_is_none_is_refused(self, write: Write, figure: str) -> None:
        _, err = run("import_species", write(f"{SPECIES[0]},max_dbh_cm", f"Pinus armandii,松,,tree,{figure}"))
        assert err.splitlines()[0] == f"line 2: max_dbh_cm “{figure}” is no DBH such as 150 or 62.5"
        assert Species.objects.count() == 0

    def test_every_figure_of_the_project_has_its_source(self) -> None:
        columns = ["scientific_name", "max_dbh_cm", "max_dbh_source"]
        rows = [row for _line, row in read_csv(SPECIES_CSV, columns)]
        assert len(rows) == 21
        assert [row for row in rows if bool(row["max_dbh_cm"]) != bool(row["max_dbh_source"])] == []
