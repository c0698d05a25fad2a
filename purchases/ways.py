"""The ways of paying: which the settings offer, and which of them fit the device a buyer holds."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from carbonsink.errors import DomainError
from purchases import gateways
from purchases.gateways import TRANSFER
from purchases.models import Payment


@dataclass(frozen=True)
class Way:
    """One product of one gateway, and what it is called and asks for."""

    gateway: str
    product: str
    title: str | Promise
    hint: str | Promise

    @property
    def code(self) -> str:
        """How settings and forms name it, such as "wechatpay.native"."""
        return f"{self.gateway}.{self.product}"


_WAYS = {
    way.code: way
    for way in (
        Way("wechatpay", "jsapi", _("WeChat Pay"), _("here in WeChat")),
        Way("wechatpay", "h5", _("WeChat Pay"), _("WeChat opens by itself")),
        Way("wechatpay", "native", _("WeChat Pay"), _("scan a code with your phone")),
        Way("alipay", "wap", _("Alipay"), _("Alipay opens by itself")),
        Way("alipay", "page", _("Alipay"), _("on a page of Alipay")),
    )
}
# What is offered first on a device; an app's own way alone inside that app.
_FIT = {
    "wechat": ["wechatpay.jsapi"],
    "alipay": ["alipay.wap"],
    "phone": ["wechatpay.h5", "alipay.wap"],
    "desktop": ["wechatpay.native", "alipay.page"],
}
# What cannot work there: JSAPI needs WeChat's bridge, and WeChat refuses to open these two.
_IMPOSSIBLE = {"wechat": {"wechatpay.h5", "alipay.wap"}}


def device(user_agent: str) -> str:
    """wechat, alipay (inside these apps), phone or desktop, by what the browser says of itself."""
    if "MicroMessenger" in user_agent:
        return "wechat"
    if "AlipayClient" in user_agent:
        return "alipay"
    return "phone" if any(word in user_agent for word in ("Mobile", "Android", "iPhone", "iPad")) else "desktop"


def offered() -> list[Way]:
    """The ways of paying online that the settings offer and the gateways' adapters have."""
    return [_WAYS[code] for pair in gateways.offered() if (code := ".".join(pair)) in _WAYS]


def transfer_is_offered() -> bool:
    """Whether organisations may pay by bank transfer: the settings offer it, and say to which account."""
    return TRANSFER in settings.PAYMENT_GATEWAYS and bool(settings.TRANSFER_ACCOUNT_NUMBER)


def for_device(user_agent: str) -> tuple[list[Way], list[Way]]:
    """The ways that fit the device, and the other ones that work on it too. When none fits, all of them are first."""
    held = device(user_agent)
    impossible = _IMPOSSIBLE.get(held, {"wechatpay.jsapi"})
    possible = [way for way in offered() if way.code not in impossible]
    fit = [way for code in _FIT[held] for way in possible if way.code == code]
    return (fit, [way for way in possible if way not in fit]) if fit else (possible, [])


def find_way(code: str, user_agent: str) -> Way:
    """The way with this code; DomainError("not_offered") when it is not offered on the device."""
    fit, others = for_device(user_agent)
    for way in (*fit, *others):
        if way.code == code:
            return way
    raise DomainError("not_offered", _now("This way of paying is not offered here. Choose another one."))


def way_of(payment: Payment) -> Way | None:
    """The way a payment was opened by."""
    return _WAYS.get(f"{payment.gateway}.{payment.product}")


def bridge_parameters(payment: Payment) -> dict[str, str]:
    """What the bridge inside WeChat is called with for a payment opened by JSAPI, freshly signed."""
    adapter: Any = gateways.gateway(payment.gateway)
    return dict(adapter.bridge(payment.prepay_id))
