"""The estimate of CO2 beside the tariff: the papers' figures, its range, and where it says nothing."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from trees import carbon
from trees.models import Species

# CO2 in kg of a whole tree at DBH 5, 8, 10 and 15 cm, and what it gains from 5 cm on when it grows 0.5, 0.8, 1.0 and
# 1.3 cm, computed independently from the same papers with a carbon fraction of 0.5.
PUBLISHED = {
    "fir, Anhui": ([9.5, 29.51, 51.23, 132.28], [2.41, 4.03, 5.17, 7.0]),
    "Masson pine, Anhui": ([11.51, 37.76, 67.42, 182.9], [3.08, 5.16, 6.64, 9.01]),
    "fir, Zhejiang": ([11.68, 30.63, 48.77, 110.4], [2.5, 4.12, 5.25, 7.04]),
    "pine, Zhejiang": ([14.11, 39.85, 66.02, 160.39], [3.26, 5.4, 6.91, 9.3]),
    "cypress, Gansu": ([9.42, 28.8, 49.57, 125.98], [2.36, 3.93, 5.04, 6.82]),
    "broadleaved mixed forest, Anhui": ([10.42, 32.92, 57.53, 149.88], [2.7, 4.5, 5.79, 7.84]),
    "fir by wood density 0.307": ([8.95, 26.8, 45.11, 116.18], [2.23, 3.7, 4.75, 6.4]),
    "Masson pine by wood density 0.45": ([13.12, 39.28, 66.12, 170.3], [3.27, 5.43, 6.96, 9.38]),
}
ALL = {formula.code: formula for formula in (*carbon.FORMULAS, *carbon.GENERAL)}
FIR = Species(scientific_name="Cunninghamia lanceolata", name_zh="杉木")
DAY = date(2026, 5, 1)


def at(cm: str, day: date = DAY) -> list[tuple[date, Decimal]]:
    return [(day, Decimal(cm))]


@pytest.mark.parametrize("code", PUBLISHED)
def test_the_formulas_give_the_papers_figures(code: str) -> None:
    stock, gains = PUBLISHED[code]
    formula = ALL[code]
    assert [formula.co2_kg(d, 0.5) for d in (5, 8, 10, 15)] == pytest.approx(stock, rel=0.005)
    gained = [formula.co2_kg(5 + cm, 0.5) - formula.co2_kg(5, 0.5) for cm in (0.5, 0.8, 1.0, 1.3)]
    assert gained == pytest.approx(gains, rel=0.006)


def test_the_carbon_fraction_is_that_of_the_ipcc() -> None:
    assert carbon.CARBON_FRACTION == 0.47
    fir = ALL["fir, Anhui"]
    assert fir.co2_kg(10) == pytest.approx(51.23 * 0.94, rel=0.005)


def test_the_range_goes_over_all_formulas_of_the_species_and_over_the_growth() -> None:
    found = carbon.estimate(FIR, at("5.0"))
    assert found is not None
    assert {formula.code for formula in found.formulas} == {"fir, Anhui", "fir, Zhejiang", "fir by wood density 0.307"}
    # The least is 0.5 cm by wood density, the most 1.3 cm by Zhejiang.
    assert found.least_kg == pytest.approx(2.23 * 0.94, rel=0.01)
    assert found.most_kg == pytest.approx(7.04 * 0.94, rel=0.01)
    assert found.growth_cm == (0.5, 1.3)
    assert not found.is_own_growth
    assert len(found.sources) == 3


def test_a_tree_measured_twice_is_estimated_by_its_own_growth() -> None:
    found = carbon.estimate(FIR, [*at("5.0"), *at("5.8", DAY + timedelta(days=365))])
    assert found is not None
    assert found.is_own_growth
    assert found.growth_cm[0] == found.growth_cm[1] == pytest.approx(0.8, rel=0.01)
    most, least = ALL["fir, Anhui"], ALL["fir by wood density 0.307"]
    assert found.most_kg == pytest.approx(most.co2_kg(5.8 + found.growth_cm[0]) - most.co2_kg(5.8))
    assert found.least_kg == pytest.approx(least.co2_kg(5.8 + found.growth_cm[0]) - least.co2_kg(5.8))


@pytest.mark.parametrize(
    ("later_cm", "days"),
    [("5.8", 299), ("5.0", 400), ("4.8", 400), ("15.0", 400)],
    ids=["soon", "same", "thinner", "wrong"],
)
def test_two_measurements_that_say_nothing_about_growth_are_not_used(later_cm: str, days: int) -> None:
    found = carbon.estimate(FIR, [*at("5.0"), *at(later_cm, DAY + timedelta(days=days))])
    assert found is None or not found.is_own_growth


def test_species_without_a_formula_take_their_genus_then_the_general_ones() -> None:
    def codes(name: str) -> set[str]:
        return {formula.code for formula in carbon.formulas_for(Species(scientific_name=name))}

    assert codes("Pinus yunnanensis") == {"Huangshan pine, Anhui", "pine, Zhejiang"}
    assert codes("Quercus acutissima") == {"ring-cupped oak, Anhui"}
    assert codes("Juglans regia") == {"broadleaved mixed forest, Anhui", "other species, Zhejiang"}
    assert codes("Schima superba") == {"guger tree, Zhejiang"}


def test_bamboo_has_no_estimate() -> None:
    moso = Species(scientific_name="Phyllostachys edulis", form=Species.Form.BAMBOO)
    assert carbon.estimate(moso, at("10.0")) is None


def test_a_tree_never_measured_has_none() -> None:
    assert carbon.estimate(FIR, []) is None


def test_beyond_a_formulas_diameters_it_says_nothing() -> None:
    found = carbon.estimate(FIR, at("45.0"))
    assert found is not None
    assert {formula.code for formula in found.formulas} == {"fir, Anhui"}
    assert carbon.estimate(FIR, at("85.0")) is None
    assert carbon.estimate(FIR, at("0.5")) is None
    thin = carbon.estimate(FIR, at("4.9"))
    assert thin is not None
    assert "fir by wood density 0.307" not in {formula.code for formula in thin.formulas}


def test_every_formula_grows_with_the_tree_and_names_its_source() -> None:
    for formula in ALL.values():
        low, high = formula.dbh_range_cm
        stocks = [formula.co2_kg(low + (high - low) * step / 20) for step in range(21)]
        assert stocks == sorted(stocks), formula.code
        assert formula.source
