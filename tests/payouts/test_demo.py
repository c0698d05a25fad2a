"""The demo's own settings and world. Its whole way is walked by `make demo ONCE=1`."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from carbonsink import embedded
from payouts.demo import environment, world
from payouts.demo.__main__ import _manage
from payouts.demo.processes import DemoError
from purchases import campaigns, ways
from purchases.models import Campaign, Organisation
from tests.purchases import books
from tests.standins.clients import BankClient
from trees.models import Tree


def test_a_demo_has_its_settings_also_while_nobody_runs(tmp_path: Path) -> None:
    made = environment.settings(tmp_path, port=8000, standins=environment.NOBODY)
    assert made["PAYMENT_GATEWAYS"] == "wechatpay,alipay,transfer"
    assert {made[name] for name in ("WECHATPAY_BASE_URL", "STANDIN_BANK_URL")} == {"http://127.0.0.1:9"}
    again = environment.settings(tmp_path, port=8000, standins=environment.NOBODY)
    assert again == made


def test_a_command_for_a_demo_that_is_just_starting_is_told_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "is_running", lambda directory: True)
    with pytest.raises(DemoError, match="try again in a moment"):
        _manage(tmp_path, ["audit"])


@pytest.mark.django_db
def test_the_demo_world_opens_with_a_checked_enterprise_and_a_campaign_and_only_completes(
    bank: BankClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "HOUSEHOLDS_PER_VILLAGE", 1)
    monkeypatch.setattr(world, "TREES", (1,))
    settings.PAYMENT_GATEWAYS = ["wechatpay", "alipay", "transfer"]
    for _ in range(2):
        world.open_world("a demo's password")
    assert (Organisation.objects.get().is_checked, Organisation.objects.get().name) == (True, world.ENTERPRISE)
    campaign = Campaign.objects.get()
    assert campaign.is_open
    assert (campaign.begins_on, campaigns.progress(campaign).trees) == (timezone.localdate(), 0)
    assert Client().get(f"/campaigns/{world.CAMPAIGN}/").status_code == 200
    assert ways.transfer_is_offered()
    shown = world.show_household()
    address, phone = f"/h/{shown.page_key}/", Client(headers={"accept-language": "en"})
    assert phone.post(address, {"pin": world.PIN}).status_code == 302
    assert f"ending in <strong>{shown.bank_accounts.get().last_four}</strong>" in phone.get(address).content.decode()
    assert set(Tree.objects.values_list("state", flat=True)) == {"approved"}
    books.all_is_well()
