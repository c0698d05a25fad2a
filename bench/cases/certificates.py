"""Drawings of certificates, each with other words: our doors on one core, PNG and PDF a second.

The floor is what one wants from them, not another way of drawing: 18 pictures and 50 papers a second.
"""

import itertools
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from bench.measure import Result, Setting, alternate

PNG_A_SECOND, PDF_A_SECOND = 18, 50
AT_ONCE = 40
# Each drawing has words that none before it had, or what a process keeps would be measured.
_numbers = itertools.count()
WORDS = "山水林田湖草沙青松翠竹杉木银杏枫香春夏秋冬风雨云霞"


def pictures(setting: Setting) -> Result:
    """The picture to share."""
    from purchases import drawing

    return _measured(setting, "certificate.png", drawing.certificate_png, PNG_A_SECOND)


def papers(setting: Setting) -> Result:
    """The paper to print."""
    from purchases import drawing

    return _measured(setting, "certificate.pdf", drawing.certificate_pdf, PDF_A_SECOND)


def _measured(setting: Setting, case: str, draw: Callable[[Any, Any], bytes], wanted: int) -> Result:
    """CPU seconds for each drawing; those of the floor are the longest it may take."""
    sizes: list[int] = []

    def ours() -> float:
        certificates = [certificate(next(_numbers)) for _ in range(AT_ONCE)]
        with mock.patch("purchases.drawing.facts._what_and_where", lambda *_: ("杉木、马尾松", "从江县 洛香镇 登岜村")):
            draw(certificates[0], "zh-hans")  # Paper and fonts are made once in a process.
            begun = time.process_time()
            sizes.extend(len(draw(one, "zh-hans")) for one in certificates)
            return (time.process_time() - begun) / AT_ONCE

    ours_s, floor_s = alternate(max(setting.rounds, 3), ours, lambda: 1 / wanted, lambda _line: None)
    figures = {"a_second": round(1 / ours_s, 1), "kB": round(sum(sizes) / len(sizes) / 1000)}
    return Result(case, ours_s, floor_s, 1.0, figures)


def certificate(number: int) -> Any:
    """A certificate that is in no database, in another name each."""
    from purchases.models import Certificate, Order

    name = "".join(WORDS[(number * 7 + place * (number % 5 + 1)) % len(WORDS)] for place in range(2 + number % 14))
    return Certificate(
        serial=f"DZTH-2026-{number:07d}",
        order=Order(kg=10),
        token=f"{number:022d}",
        holder=name,
        dedication=name[::-1] * (number % 4),
        vintage=2026,
        trees=number + 1,
        kg=10 * (number + 1),
        issued_at=datetime(2026, 1 + number % 12, 1 + number % 28, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai")),
    )
