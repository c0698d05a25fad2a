"""Made-up people for the demo: numbers that pass their checks and belong to nobody."""

import random
from dataclasses import dataclass

from stdnum import luhn
from stdnum.cn import ric
from stdnum.iso7064 import mod_11_10

SURNAMES = "滚吴石杨龙潘梁王张陆韦蒙"
GIVEN = ["秀英", "老山", "正华", "桂花", "光荣", "小妹", "再发", "银花", "成龙", "应祥", "昌明", "金妹"]
BANK_NAME = "中国邮政储蓄银行从江县支行"
# 403 is the postal savings bank's number among the banks; the branch digits are made up.
BANK_CODE = "40371300001" + mod_11_10.calc_check_digit("40371300001")


@dataclass(frozen=True)
class Villager:
    """A made-up head of household."""

    name: str
    id_number: str
    phone: str
    card: str


def villager(seed: int) -> Villager:
    """The villager with this number: always the same one. Born between 1900 and 1903, so nobody alive."""
    chance = random.Random(seed)  # noqa: S311 - made-up data, no secret
    body = f"522633{1900 + seed % 4}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{seed % 1000:03d}"
    card = f"62179900{chance.randint(0, 10**10 - 1):010d}"
    return Villager(
        name=chance.choice(SURNAMES) + chance.choice(GIVEN),
        id_number=body + ric.calc_check_digit(body + "0"),
        phone=f"199{chance.randint(0, 10**8 - 1):08d}",
        card=card + luhn.calc_check_digit(card),
    )
