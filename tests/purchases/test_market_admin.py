"""The market's lists in the admin: every one opens, in words and amounts a person can read."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from carbonsink.accounts.models import User
from purchases import givebacks
from purchases.models import Bill, Order, Payment, Refund, Replacement, Stock, Tariff, Transfer
from tests import factories
from tests.purchases import banking, books, losing

MARKET: list[Any] = [model for model in admin.site._registry if model._meta.app_label == "purchases"]


def listing(client: Client, model: Any) -> str:
    answer = client.get(reverse(f"admin:purchases_{model._meta.model_name}_changelist"))
    assert answer.status_code == 200, model
    return answer.content.decode()


@pytest.mark.parametrize("model", MARKET)
def test_every_column_is_named_in_the_readers_language(model: Any) -> None:
    with translation.override("zh-hans"):
        columns = [
            str(label_for_field(name, model, admin.site._registry[model]))
            for name in admin.site._registry[model].list_display
        ]
    assert [label for label in columns if re.fullmatch(r"[\x00-\x7f]+", label)] == []


@pytest.mark.django_db
def test_the_lists_show_years_amounts_and_numbers_as_people_write_them() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.org", factories.PASSWORD, name="root"))
    year = timezone.localdate().year
    (owner, *_rest) = factories.market(3, 3)
    order = factories.paid_order(2)
    losing.leave(losing.trees_of(order)[0])
    losing.sweep()
    refund = givebacks.give_back(order, 1, by=None, reason="x")
    transfer = banking.transfer(123_456, "谢谢")
    Bill.objects.create(
        gateway="alipay",
        day=timezone.localdate(),
        lines=1,
        captured_fen=600,
        refunded_fen=0,
        compared_at=timezone.now(),
    )
    shown = {model: listing(client, model) for model in MARKET}
    for model in (Order, Stock, Tariff):
        assert f">{year}<" in shown[model]
        assert f"{year:,}" not in shown[model]
    for model, texts in {
        Order: ["¥6.00", order.number],
        Payment: ["¥6.00", order.number],
        Refund: ["¥3.00", refund.payment.reference],
        Replacement: [order.number, str(order.replacements.get().old_sink.tree.number)],
        Transfer: ["¥1,234.56", transfer.serial],
        Bill: ["¥6.00", "¥0.00"],
        Stock: [str(owner)],
    }.items():
        assert [text for text in texts if text not in shown[model]] == [], model
    books.all_is_well()
