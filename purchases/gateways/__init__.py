"""The payment gateways by their code. Adding one: a folder, a line here, a settings block, its tests."""

from purchases.gateways.base import Gateway
from purchases.gateways.wechatpay.gateway import WechatPay

_GATEWAYS: dict[str, type[Gateway]] = {"wechatpay": WechatPay}


def gateway(code: str) -> Gateway:
    """The gateway with this code, configured from settings. KeyError for an unknown one."""
    return _GATEWAYS[code]()
