"""The world that is measured: 33 counties, 682 villages, 11,207 households, 4.462 million trees, times SCALE.

Everything is made up, and the same for the same scale. Files are written as a county office would send them.
"""

import csv
import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from stdnum.cn import ric

COUNTIES, VILLAGES, HOUSEHOLDS, TREES = 33, 682, 11_207, 4_462_000
SPECIES = ["杉木", "马尾松", "柏木", "枫香树", "木荷", "Cunninghamia lanceolata", "樟", "毛竹"]
TREE_COLUMNS = ["农户编号", "树种", "胸径(cm)", "种植年份", "经度", "纬度", "定位精度(m)", "测量日期"]
HOUSEHOLD_COLUMNS = [
    "村代码", "户主姓名", "身份证号", "联系电话", "农户类别", "林地面积(亩)", "权属", "林权证号", "同意书版本",
    "签署日期",
]  # fmt: skip


@dataclass(frozen=True)
class World:
    """How much there is of everything at a scale."""

    scale: float

    @property
    def counties(self) -> int:
        return self._part(COUNTIES)

    @property
    def villages(self) -> int:
        return max(self.counties, self._part(VILLAGES))

    @property
    def households(self) -> int:
        return max(self.villages, self._part(HOUSEHOLDS))

    @property
    def trees(self) -> int:
        return max(self.households, self._part(TREES))

    def _part(self, whole: int) -> int:
        return max(1, round(whole * self.scale))

    def divisions(self) -> list[tuple[str, str, str, str | None]]:
        """Code, name, level and parent of each division, parents first."""
        rows: list[tuple[str, str, str, str | None]] = [
            ("520000000000", "贵州省", "province", None),
            ("522600000000", "黔东南苗族侗族自治州", "prefecture", "520000000000"),
        ]
        for county in range(self.counties):
            code = f"5226{county + 1:02d}"
            rows.append((f"{code}000000", f"县{county + 1}", "county", "522600000000"))
            rows.append((f"{code}100000", f"镇{county + 1}", "township", f"{code}000000"))
        rows += [(code, f"村{number}", "village", f"{code[:9]}000") for number, code in enumerate(self.village_codes())]
        return rows

    def village_codes(self) -> list[str]:
        """The codes of the villages, dealt out to the counties in turn."""
        return [f"5226{n % self.counties + 1:02d}100{n // self.counties + 200:03d}" for n in range(self.villages)]

    def household_codes(self) -> list[str]:
        """The codes that the households get, in the order of their file."""
        codes = self.village_codes()
        return [f"{codes[n % len(codes)]}{n // len(codes) + 1:03d}" for n in range(self.households)]


def write_households(world: World, path: Path) -> Path:
    """The file of all households."""
    chance = random.Random(1)  # noqa: S311 - made-up data
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HOUSEHOLD_COLUMNS)
        for number, code in enumerate(world.household_codes()):
            born = date(1900, 1, 1) + timedelta(days=number % 1400)
            body = f"522633{born:%Y%m%d}{number // 1400:03d}"
            person = [body + ric.calc_check_digit(body + "0"), f"199{chance.randrange(10**8):08d}"]
            land = ["建档立卡户", f"{chance.randint(5, 60) / 10}", "退耕还林", "", "1", "2025-11-02"]
            writer.writerow([code[:12], "滚老山", *person, *land])
    return path


def write_trees(world: World, path: Path) -> Path:
    """The file of all trees, household by household."""
    chance = random.Random(2)  # noqa: S311 - made-up data
    shares = _shares(world)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TREE_COLUMNS)
        for code, count in zip(world.household_codes(), shares, strict=True):
            lon, lat = chance.uniform(104, 109), chance.uniform(24.7, 29)
            for _ in range(count):
                position = [f"{lon + chance.random() / 500:.6f}", f"{lat + chance.random() / 500:.6f}"]
                dbh, planted = f"{chance.randint(50, 420) / 10:.1f}", chance.choice(["", "", "2009", "2015"])
                row = [code, chance.choice(SPECIES), dbh, planted, *position, chance.randint(3, 20)]
                writer.writerow([*row, f"2026-{chance.randint(1, 9):02d}-{chance.randint(1, 28):02d}"])
    return path


def _shares(world: World) -> list[int]:
    """So many trees for each household that they come to the whole."""
    least, rest = divmod(world.trees, world.households)
    return [least + (number < rest) for number in range(world.households)]
