"""An estimate of the CO2 a tree takes up in a year, from its DBH by published formulas; apart from the tariff.

dry biomass (kg) → × carbon fraction → × 44/12 = CO2 (kg). The estimate is the difference between two diameters, a year
apart, and a range: over all formulas that fit the species and over how fast such trees grow. Single trees differ from
such formulas by a third or more, so the range is shown, never a mean.

Assumptions, each with its source:
- Carbon fraction 0.47 (IPCC 2006 Guidelines, vol. 4, table 4.3). Older figures, and the plausibility figures that the
  tests compare with, use 0.5.
- Height from DBH: 1.3 m + 0.75 m for each cm up to 10 cm, then 0.55 m. An assumption for young stands on mountain
  slopes; used only by the formulas that ask for the height.
- Crown length 0.6 of the height, for the formulas of Zhejiang.
- Roots 0.24 of what is above ground, for formulas that leave them out: an assumption within what the IPCC Guidelines
  give for subtropical humid forest (vol. 4, table 4.4).
- Growth 0.5 to 1.3 cm a year, unless the tree itself was measured twice, at least 300 days apart. Plantations of
  Chinese fir in Fujian grew 0.83 cm a year unthinned, 0.99 to 1.30 cm thinned
  (http://www.fx361.com/page/2016/0818/18552356.shtml).
- Bamboo: none. A culm has its full diameter after some weeks and never grows thicker, so that a year's difference says
  nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trees.models import Species

CARBON_FRACTION = 0.47
CO2_PER_CARBON = 44 / 12
ROOTS = 0.24
GROWTH_CM = (0.5, 1.3)
LEAST_DAYS = 300
# No planted tree here grows faster: then one of its measurements was wrong.
MOST_GROWTH_CM = 4.0

ANHUI = "汲玉河等 2016, 安徽省森林碳储量现状及固碳潜力, 植物生态学报, table 1 (ChinaXiv 201605.00424)"
GANSU = "关晋宏等 2016, 甘肃省森林碳储量现状与固碳速率, 植物生态学报, table 3 (ChinaXiv 201605.00435)"
ZHEJIANG = "管杰然等 2017, 生态学报 37(20), table 1 (ChinaXiv 201711.00073)"
ZHANG = "Zhang et al. 2007, in 郑英茂等 2020, table 2 (ChinaXiv 202003.00015)"
ZENG = "Zeng 2018, Forest Research 7(1): above-ground biomass = 0.3 · wood density · D^(7/3)"

Biomass = Callable[[float], float]


def height_m(dbh_cm: float) -> float:
    """The height assumed for a tree of this DBH."""
    return 1.3 + 0.75 * min(dbh_cm, 10) + 0.55 * max(dbh_cm - 10, 0)


def _of_volume(*parts: tuple[float, float]) -> Biomass:
    """The sum of a · (D²H)^b over stem, branches, leaves and roots; D in cm, H in m."""
    return lambda d: sum(a * (d * d * height_m(d)) ** b for a, b in parts)


def _above(a: float, b: float) -> Biomass:
    """a · (D²H)^b above ground, and the roots."""
    return lambda d: a * (d * d * height_m(d)) ** b * (1 + ROOTS)


def _of_density(density: float) -> Biomass:
    """0.3 · ρ · D^(7/3) above ground, and the roots; ρ the basic wood density in g/cm³."""
    return lambda d: 0.3 * density * d ** (7 / 3) * (1 + ROOTS)


def _zhejiang(
    trunk: tuple[float, float, float], crown: tuple[float, float, float], root: tuple[float, float, float]
) -> Biomass:
    """a·H^b·D^c (trunk) + a·D^b·L^c (crown) + a·H^b·D^c (root); L the crown's length in m."""

    def kg(d: float) -> float:
        h = height_m(d)
        return (
            trunk[0] * h ** trunk[1] * d ** trunk[2]
            + crown[0] * d ** crown[1] * (0.6 * h) ** crown[2]
            + root[0] * h ** root[1] * d ** root[2]
        )

    return kg


@dataclass(frozen=True)
class Formula:
    """A published formula: for what it was made, within which diameters (cm), and where it stands."""

    code: str
    species: tuple[str, ...]
    genera: tuple[str, ...]
    dbh_range_cm: tuple[float, float]
    source: str
    biomass_kg: Biomass

    def co2_kg(self, dbh_cm: float, carbon_fraction: float = CARBON_FRACTION) -> float:
        """CO2 bound in the whole tree, in kg."""
        return self.biomass_kg(dbh_cm) * carbon_fraction * CO2_PER_CARBON


FIR, MASSON = "Cunninghamia lanceolata", "Pinus massoniana"
# Where a paper gives no largest diameter, 40 cm is taken: beyond the planted trees that such samples are made of.
FORMULAS = (
    Formula("fir, Anhui", (FIR,), (), (1, 85.5), ANHUI,
            _of_volume((0.0411, 0.8941), (0.0015, 1.062), (0.0108, 0.8246), (0.0314, 0.7592))),
    Formula("Masson pine, Anhui", (MASSON,), (), (1, 50.4), ANHUI,
            _of_volume((0.0337, 0.9551), (0.036, 0.7948), (0.0016, 1.1007), (0.015, 0.8322))),
    Formula("Huangshan pine, Anhui", ("Pinus taiwanensis",), ("Pinus",), (4, 79.5), ANHUI,
            _of_volume((0.0581, 0.8159), (0.0032, 1.128), (0.0091, 0.8579), (0.0133, 0.8872))),
    Formula("ring-cupped oak, Anhui", ("Quercus glauca", "Cyclobalanopsis glauca"), ("Quercus", "Cyclobalanopsis"),
            (2.4, 60), ANHUI, _of_volume((0.0735, 0.8503), (0.0086, 1.0031), (0.0084, 0.8108), (0.0181, 0.8732))),
    Formula("cypress, Gansu", ("Cupressus funebris",), ("Cupressus",), (1, 40), GANSU,
            _of_volume((0.0427, 0.8545), (0.0128, 0.8916), (0.0258, 0.7037), (0.0079, 0.9385))),
    Formula("fir, Zhejiang", (FIR, "Cryptomeria japonica"), ("Cunninghamia", "Cryptomeria"), (1, 40), ZHEJIANG,
            _zhejiang((0.0647, 0.8959, 1.488), (0.0971, 1.7814, 0.0346), (0.0617, -0.10374, 2.115252))),
    Formula("pine, Zhejiang", (MASSON, "Pinus taiwanensis"), ("Pinus",), (1, 40), ZHEJIANG,
            _zhejiang((0.06, 0.7934, 1.8005), (0.137708, 1.487266, 0.405207), (0.0417, -0.078, 2.2618))),
    Formula("sweet gum, Zhejiang", ("Liquidambar formosana",), ("Liquidambar", "Sassafras"), (1, 40), ZHEJIANG,
            _zhejiang((0.0444, 0.7197, 1.7095), (0.0856, 1.22657, 0.397), (0.0459, 0.1067, 2.0247))),
    Formula("guger tree, Zhejiang", ("Schima superba",), ("Schima",), (1, 40), ZHANG, _above(0.07103, 0.91)),
    Formula("fir by wood density 0.307", (FIR,), (), (5, 40), ZENG, _of_density(0.307)),
    Formula("Masson pine by wood density 0.45", (MASSON,), (), (5, 40), ZENG, _of_density(0.45)),
)  # fmt: skip
# For species without a formula of their own or of their genus.
GENERAL = (
    Formula("broadleaved mixed forest, Anhui", (), (), (2, 98.6), ANHUI,
            _of_volume((0.045, 0.874), (0.02, 0.839), (0.01, 0.78), (0.009, 0.974))),
    Formula("other species, Zhejiang", (), (), (1, 40), ZHANG, _above(0.09459, 0.87)),
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """CO2 (kg) that a tree takes up in the year after its last measurement: from least to most, by these sources."""

    least_kg: float
    most_kg: float
    growth_cm: tuple[float, float]
    is_own_growth: bool
    dbh_cm: float
    measured_on: date
    formulas: tuple[Formula, ...]

    @property
    def sources(self) -> list[str]:
        """Where the formulas stand, each once."""
        return list(dict.fromkeys(formula.source for formula in self.formulas))


def formulas_for(species: Species) -> tuple[Formula, ...]:
    """The formulas for the species, else those of its genus, else the general ones. None for bamboo."""
    if species.form == Species.Form.BAMBOO:
        return ()
    genus = species.scientific_name.partition(" ")[0]
    own = tuple(formula for formula in FORMULAS if species.scientific_name in formula.species)
    related = tuple(formula for formula in FORMULAS if genus in formula.genera)
    return own or related or GENERAL


def own_growth_cm(measured: Sequence[tuple[date, Decimal]]) -> float | None:
    """Growth in cm a year between the first and the last measurement; None when they are less than 300 days apart, or
    the tree did not grow, or grew by more than 4 cm a year: then one of them was wrong."""
    if len(measured) < 2:
        return None
    (first_day, first_cm), (last_day, last_cm) = measured[0], measured[-1]
    days = (last_day - first_day).days
    if days < LEAST_DAYS or last_cm <= first_cm:
        return None
    growth_cm = float(last_cm - first_cm) * 365.25 / days
    return growth_cm if growth_cm <= MOST_GROWTH_CM else None


def estimate(species: Species, measured: Sequence[tuple[date, Decimal]]) -> Estimate | None:
    """The estimate for a tree with these measurements (day, DBH in cm), oldest first.

    None for bamboo, for a tree that was never measured, and where no formula reaches to its diameter.
    """
    if not measured:
        return None
    measured_on, dbh_cm = measured[-1][0], float(measured[-1][1])
    own = own_growth_cm(measured)
    growth = (own, own) if own is not None else GROWTH_CM
    fitting = [
        formula
        for formula in formulas_for(species)
        if formula.dbh_range_cm[0] <= dbh_cm and dbh_cm + growth[1] <= formula.dbh_range_cm[1]
    ]
    if not fitting:
        return None
    gains = [formula.co2_kg(dbh_cm + cm) - formula.co2_kg(dbh_cm) for formula in fitting for cm in growth]
    return Estimate(min(gains), max(gains), growth, own is not None, dbh_cm, measured_on, tuple(fitting))
