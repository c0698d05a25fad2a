"""Gateways of paper: they open whatever is asked and remember it, so that pages can be tried for products whose
protocol is tested elsewhere."""

from typing import Any

import pytest

from purchases import gateways
from purchases.gateways.base import Checkout, GatewayError, PaymentReport, PaymentRequest
from purchases.gateways.wechatpay.gateway import WechatPay


class Paper(WechatPay):
    """Opens payments at `address`; `silent` makes it answer nothing, `said` is what a query brings."""

    products = ("native", "jsapi", "h5")
    address = "https://pay.example/wxpay?prepay_id=1&package=2"
    asked: list[PaymentRequest] = []
    closed: list[str] = []
    queried: list[str] = []
    silent = False
    said = "pending"

    def create(self, request: PaymentRequest) -> Checkout:
        type(self).asked.append(request)
        if self.silent:
            raise GatewayError("unknown", "NO_ANSWER")
        return Checkout(prepay_id="wx123") if request.product == "jsapi" else Checkout(url=self.address)

    def close(self, reference: str) -> None:
        type(self).closed.append(reference)
        if self.silent:
            raise GatewayError("unknown", "NO_ANSWER")

    def query(self, reference: str) -> PaymentReport:
        type(self).queried.append(reference)
        if self.silent:
            raise GatewayError("unknown", "NO_ANSWER")
        fen = 300 if self.said == "captured" else 0
        return PaymentReport(reference, self.said, transaction_id=f"P{reference[:8]}", fen=fen)  # type: ignore[arg-type]

    def bridge(self, prepay_id: str) -> dict[str, str]:
        return {"appId": "wx-test", "package": f"prepay_id={prepay_id}", "paySign": "signed"}


def lay_out(monkeypatch: pytest.MonkeyPatch, settings: Any, **changes: Any) -> type[Paper]:
    """WeChat Pay and Alipay of paper, both offered; both share what they remember."""
    values = {"asked": [], "closed": [], "queried": [], **changes}
    wechatpay: Any = type("PaperWechat", (Paper,), values)
    alipay: Any = type("PaperAlipay", (wechatpay,), {"code": "alipay", "products": ("page", "wap")})
    monkeypatch.setitem(gateways._GATEWAYS, "wechatpay", wechatpay)
    monkeypatch.setitem(gateways._GATEWAYS, "alipay", alipay)
    settings.PAYMENT_GATEWAYS = ["wechatpay", "alipay"]
    settings.PAYMENT_PRODUCTS = []
    return wechatpay


DESKTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"
WECHAT = f"{PHONE} MicroMessenger/8.0.50"
ALIPAY = f"{PHONE} AlipayClient/10.6"
