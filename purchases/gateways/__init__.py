"""The payment gateways by their code. Adding one: a folder, a line here, a settings block, its tests."""

from django.conf import settings

from purchases.gateways.alipay.gateway import Alipay
from purchases.gateways.base import Gateway
from purchases.gateways.transfer.gateway import BankTransfer
from purchases.gateways.wechatpay.gateway import WechatPay

# Bank transfer: its money comes when a statement says so, and people send it back.
TRANSFER = BankTransfer.code
_GATEWAYS: dict[str, type[Gateway]] = {"wechatpay": WechatPay, "alipay": Alipay, TRANSFER: BankTransfer}


def gateway(code: str) -> Gateway:
    """The gateway with this code, configured from settings. KeyError for an unknown one."""
    return _GATEWAYS[code]()


def codes() -> list[str]:
    """The codes of all gateways, also of those that are not offered."""
    return list(_GATEWAYS)


def offered() -> list[tuple[str, str]]:
    """The ways of paying that buyers may choose, as gateway and product, in the order of the settings: the products
    PAYMENT_PRODUCTS names, or all of the gateways in PAYMENT_GATEWAYS."""
    every = [(code, product) for code in settings.PAYMENT_GATEWAYS for product in _GATEWAYS[code].products]
    if not settings.PAYMENT_PRODUCTS:
        return every
    named = [tuple(name.split(".", 1)) for name in settings.PAYMENT_PRODUCTS]
    return [(code, product) for code, product in every if (code, product) in named]


def is_offered(code: str, product: str) -> bool:
    """Whether buyers may choose this way of paying."""
    return (code, product) in offered()
