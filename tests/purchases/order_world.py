"""An order in each state its page may show, made as it comes about or, for large orders, by hand."""

from collections.abc import Callable
from typing import Any

from carbonsink.accounts import roles
from purchases import orders
from purchases.models import Order, Payment
from purchases.organisations import confirm_organisation, find_or_note
from tests import factories
from tests.purchases import paper
from tests.purchases.test_organisations import CODE


def fresh(quantity: int = 2, **choice: Any) -> Order:
    """A held order of whose payment nothing was chosen yet."""
    order = factories.order(quantity, **choice)
    order.payments.all().delete()
    return order


def opened(product: str = "native", gateway: str = "wechatpay", **choice: Any) -> Order:
    """A held order with a payment that its gateway has opened."""
    order = fresh(**choice)
    url = "weixin://wxpay/bizpayurl?pr=abc" if product == "native" else paper.Paper.address
    Payment.objects.create(
        order=order, gateway=gateway, product=product, fen=order.total_fen,
        pay_url="" if product == "jsapi" else url, prepay_id="wx123" if product == "jsapi" else "",
    )  # fmt: skip
    return order


def by_transfer() -> Order:
    """A checked organisation's order that is paid by bank transfer."""
    organisation = find_or_note(CODE, "贵州青山有限公司", "enterprise", factories.FIRM_CONTACT)
    confirm_organisation(organisation, by=factories.user(roles.FINANCE))
    organisation.refresh_from_db()
    return fresh(organisation=organisation, contact_person="王小明", pays_by="transfer", holder="贵州青山有限公司")


def large(state: str, quantity: int = 20_000, allocated: int = 0) -> Order:
    """A large order as the allocation leaves it in the table."""
    order = fresh(1)
    orders.cancel_order(order)
    values = {name: getattr(order, name) for name in ("buyer", "vintage", "area", "price_fen", "kg", "expires_at")}
    return Order.objects.create(
        **values, quantity=quantity, total_fen=quantity * order.price_fen, allocated=allocated, state=state,
        idempotency_key=f"large-{state}", body_hash="x",
    )  # fmt: skip


def gone_wrong(state: str) -> Order:
    """An order whose last payment came to nothing."""
    order = opened()
    order.payments.update(pay_url="")
    Payment.objects.create(order=order, gateway="wechatpay", fen=order.total_fen, state=state)
    return order


def odd() -> Order:
    """An order of which another amount arrived."""
    order = opened()
    factories.capture(order.payments.get(), fen=200)
    return order


def late(later: Callable[..., None], *, taken: bool) -> Order:
    """An order that was paid too late: its tree was still there, or somebody else's by then."""
    (owner,) = factories.market(1)
    order = fresh(1, tree=owner.trees.get())
    payment = factories.payment(order)
    later(minutes=16)
    orders.look_at(order)
    if taken:
        factories.paid_order(tree=owner.trees.get())
    factories.capture(payment)
    order.refresh_from_db()
    return order


def paid_twice() -> Order:
    """A paid order whose second payment goes back."""
    order = factories.paid_order(2, dedication="给我们班", holder="山里人")
    factories.capture(Payment.objects.create(order=order, gateway="alipay", product="page", fen=order.total_fen))
    return order


def expired(later: Callable[..., None], **choice: Any) -> Order:
    """An order whose time ended while a payment was open."""
    order = opened(**choice)
    later(minutes=16)
    return order
