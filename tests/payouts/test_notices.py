"""The notice board says who was paid; what each one got nobody can work out from it, unless the village wants that."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from payouts import sending
from payouts.banks.base import TransferReport
from payouts.models import Payout
from payouts.papers import notices
from payouts.papers.statements import monthly
from payouts.runs import run_payouts
from tests import factories
from tests.payouts import money
from tests.payouts.test_papers import POPPLER, THIS_MONTH, all_texts, codes
from tests.purchases import books
from trees.models import Division, Household

pytestmark = pytest.mark.django_db
FEW = "户数少，不公示金额"


def village() -> Division:
    return Division.objects.get(code=factories.VILLAGE)


def facts() -> dict[str, str]:
    return dict(notices.facts_of(list(monthly(village(), THIS_MONTH))))


def marks() -> list[str]:
    return [notices.said_of(one) for one in monthly(village(), THIS_MONTH)]


def sell(*trees_of_households: int) -> list[Household]:
    """Households that sell all of so many trees each, at three yuan."""
    owners = factories.market(*trees_of_households)
    for owner in owners:
        for tree in owner.trees.order_by("pk"):
            factories.paid_order(tree=tree)
    return owners


def pay(*owners: Household) -> None:
    """All that these households are owed arrives on their accounts."""
    for owner in owners:
        factories.account(owner)
    money.settle(10_000)
    run_payouts()
    for payout in Payout.objects.filter(pk__in=sending.to_send()):
        assert sending._begin(payout.pk) is not None
        sending.record(payout.pk, TransferReport(payout.out_no, "succeeded", f"B{payout.pk}", timezone.now()))


def test_what_one_or_two_households_got_is_not_told_as_the_sum_of_all() -> None:
    first, second, _third = sell(2, 1, 1)
    pay(first)
    assert marks() == ["已到账", "待付", "待付"]
    assert facts() == {
        "登记农户": "3户", "本月卖出": "3户", "本月到账": f"1户，{FEW}", "还没到账": "2户",
    }  # fmt: skip
    pay(second)
    assert marks() == ["已到账", "已到账", "待付"]
    assert facts()["本月到账"] == f"2户，{FEW}"
    books.all_is_well()


def test_of_three_households_and_more_the_sum_that_arrived_is_told_and_no_other_beside_it() -> None:
    """Sold less arrived is what the fourth one waits for; and less what waited, what the only one sold."""
    owners = sell(1, 2, 1, 1)
    pay(*owners[:3])
    assert marks() == ["已到账", "已到账", "已到账", "待付"]
    assert facts() == {"登记农户": "4户", "本月卖出": "4户", "本月到账": "¥12.00（3户）", "还没到账": "1户"}
    pay(owners[3])
    assert facts() == {"登记农户": "4户", "本月卖出": "4户", "本月到账": "¥15.00（4户）", "还没到账": "0户"}
    books.all_is_well()


def test_how_many_households_a_sum_needs_is_the_village_s_choice(settings: Any) -> None:
    settings.NOTICE_LEAST_HOUSEHOLDS = 4
    owners = sell(1, 1, 1, 1)
    pay(*owners[:3])
    assert facts()["本月到账"] == f"3户，{FEW}"
    pay(owners[3])
    assert facts()["本月到账"] == "¥12.00（4户）"


def test_a_village_that_wants_amounts_has_all_of_them(settings: Any) -> None:
    settings.NOTICE_SHOWS_AMOUNTS = True
    first, _second = sell(2, 1)
    pay(first)
    assert marks() == ["¥6.00", "待付"]
    assert facts() == {
        "登记农户": "2户", "本月卖出": "3棵，30千克", "卖得": "¥9.00", "本月到账": "¥6.00（1户）", "还没到账": "¥3.00",
    }  # fmt: skip


@POPPLER
def test_the_board_s_code_leads_to_the_money_of_all_unless_amounts_are_shown(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The market's page of the village says of each household how many trees it sold, at the one price."""
    pay(sell(2, 1)[0])
    written, said = all_texts(monkeypatch), {}
    for shows, path in ((False, "/money/"), (True, f"/areas/{factories.VILLAGE}/")):
        settings.NOTICE_SHOWS_AMOUNTS = shows
        written.clear()
        with (tmp_path / "board.pdf").open("wb") as file:
            assert notices.notice_pdf(village(), THIS_MONTH, file) == 1
        assert codes((tmp_path / "board.pdf").read_bytes(), tmp_path) == [settings.PUBLIC_BASE_URL + path]
        said[shows] = "".join(written)
    assert not [sign for sign in ("¥", "棵", "千克") if sign in said[False]] and FEW in said[False]
    assert "¥6.00" in said[True] and FEW not in said[True]
