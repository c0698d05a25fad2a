"""Alipay: payments on the desktop (page) and from a phone's browser (wap), queries, refunds, and the daily bills.

Both products are signed addresses: opening a payment calls nobody, and Alipay first hears of it from the buyer.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from django.conf import settings
from django.utils import timezone

from carbonsink import money, outside, pem
from purchases.gateways.alipay import bills, signing
from purchases.gateways.base import (
    Checkout,
    DayBill,
    Funds,
    GatewayError,
    NotificationRefused,
    NotificationReport,
    PaymentReport,
    PaymentRequest,
    RefundReport,
    RefundRequest,
)

_PRODUCTS = {
    "page": ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    "wap": ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
}
# Its words for what the platform asks about, in those the platform knows.
_CODES = {
    "ACQ.TRADE_NOT_EXIST": "ORDER_NOT_EXIST",
    "ACQ.TRADE_STATUS_ERROR": "ORDERPAID",
    "ACQ.REASON_TRADE_STATUS_INVALID": "ORDERPAID",
    "isp.bill_not_exist": "NO_STATEMENT_EXIST",
}
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,12})\.[0-9]{2}")


class Alipay:
    """The adapter; its address, app, seller and keys come from the settings ALIPAY_*."""

    code = "alipay"
    products: tuple[str, ...] = ("page", "wap")
    answer_type = "text/plain"
    accepted = "success"
    refused = "fail"

    def create(self, request: PaymentRequest) -> Checkout:
        method, product_code = _PRODUCTS[request.product]
        terms = {
            "out_trade_no": request.reference,
            "total_amount": money.yuan(request.fen),
            "subject": request.description,
            "product_code": product_code,
            "time_expire": _clock(request.expires_at),
        }
        if request.product == "wap" and request.return_url:
            terms["quit_url"] = request.return_url
        signed = self._signed(method, terms, notify_url=request.notify_url, return_url=request.return_url)
        return Checkout(url=f"{settings.ALIPAY_GATEWAY_URL}?{urlencode(signed)}")

    def query(self, reference: str) -> PaymentReport:
        answer = self._call("alipay.trade.query", {"out_trade_no": reference})
        try:
            report = _report(answer, paid_at=answer.get("send_pay_date"))
        except (KeyError, TypeError, ValueError) as error:
            raise GatewayError("unknown", "BAD_ANSWER", "the content has not the expected form") from error
        if report.reference != reference:  # A signature does not say which question it answers.
            raise GatewayError("unknown", "BAD_ANSWER", "not about this payment")
        return report

    def close(self, reference: str) -> None:
        self._call("alipay.trade.close", {"out_trade_no": reference})

    def read_notification(self, headers: Mapping[str, str], body: bytes, now: datetime) -> NotificationReport:
        """All is in the body. Its `notify_time` is that of the first attempt, and Alipay goes on for 25 hours, so
        there is no window of time: what keeps a replay harmless is that `notify_id` and the trade are used once."""
        try:
            found = signing.read_notification(body, self._alipay_key())
            if found["app_id"] != settings.ALIPAY_APP_ID or found["seller_id"] != settings.ALIPAY_SELLER_ID:
                raise NotificationRefused("another app or seller")
            if found["charset"].lower() != "utf-8":
                raise NotificationRefused("another charset")
            event_id = found["notify_id"]
            if not event_id:
                raise NotificationRefused("no notify_id")
            if len(event_id) > 64:  # Longer than what is kept, and never seen so.
                event_id = hashlib.sha256(event_id.encode()).hexdigest()
            if found["notify_type"] != "trade_status_sync":
                return NotificationReport(event_id, None)
            return NotificationReport(event_id, _report(found, paid_at=found.get("gmt_payment")))
        except signing.BadSignature as error:
            raise NotificationRefused(str(error)) from error
        except GatewayError as error:
            raise NotificationRefused(error.code) from error
        except (KeyError, ValueError) as error:
            raise NotificationRefused("the content has not the expected form") from error

    def refund(self, request: RefundRequest) -> RefundReport:
        """`fund_change` N: it went back before, or has not yet; only asking tells."""
        answer = self._call(
            "alipay.trade.refund",
            {
                "trade_no": request.transaction_id,
                "out_request_no": request.number,
                "refund_amount": money.yuan(request.fen),
                "refund_reason": request.reason[:80],
            },
        )
        if answer.get("trade_no") != request.transaction_id:
            raise GatewayError("unknown", "BAD_ANSWER", "not about this refund")
        return RefundReport(request.number, "succeeded" if answer.get("fund_change") == "Y" else "pending")

    def query_refund(self, number: str, transaction_id: str = "") -> RefundReport:
        """Without `refund_status` it never arrived or failed: both may be sent again under the same number."""
        asked = {"trade_no": transaction_id, "out_request_no": number}
        answer = self._call("alipay.trade.fastpay.refund.query", asked)
        if answer.get("out_request_no", number) != number:
            raise GatewayError("unknown", "BAD_ANSWER", "not about this refund")
        if "refund_status" not in answer:
            raise GatewayError("refused", "RESOURCE_NOT_EXISTS")
        return RefundReport(number, "succeeded" if answer["refund_status"] == "REFUND_SUCCESS" else "pending")

    def funds(self, day: date) -> Funds:
        archive = self._download("signcustomer", day)
        return bills.read_funds(archive) if archive else Funds([], [], 0, None)

    def bill(self, day: date) -> DayBill:
        archive = self._download("trade", day)
        return DayBill(hashlib.sha256(archive).hexdigest(), bills.read_trades(archive)) if archive else DayBill("", [])

    @staticmethod
    def _alipay_key() -> RSAPublicKey:
        return pem.public_key(settings.ALIPAY_PUBLIC_KEY_FILE, RSAPublicKey)

    @staticmethod
    def _signed(method: str, terms: dict[str, str], **more: str) -> dict[str, str]:
        """All parameters of a request, with its signature."""
        parameters = {
            "app_id": settings.ALIPAY_APP_ID,
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": _clock(timezone.now()),
            "version": "1.0",
            "biz_content": json.dumps(terms, ensure_ascii=False, separators=(",", ":")),
            **{name: value for name, value in more.items() if value},
        }
        key = pem.private_key(settings.ALIPAY_APP_KEY_FILE, RSAPrivateKey)
        return parameters | {"sign": signing.sign(parameters, key)}

    def _call(self, method: str, terms: dict[str, str]) -> dict[str, Any]:
        """Sends one signed request and returns its verified answer, or raises GatewayError."""
        signed = self._signed(method, terms)
        content = urlencode({"biz_content": signed.pop("biz_content")}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
        body = _send("POST", f"{settings.ALIPAY_GATEWAY_URL}?{urlencode(signed)}", content, headers)
        try:
            answer = signing.read_answer(body, method.replace(".", "_") + "_response", self._alipay_key())
        except signing.BadSignature as error:
            raise GatewayError("unknown", "BAD_SIGNATURE", str(error)) from error
        code, sub_code = str(answer.get("code", "")), str(answer.get("sub_code", ""))
        if code == "10000":
            return answer
        known = _CODES.get(sub_code)
        # 20000, isp.…, aop.… and …SYSTEM_ERROR are its own failures: perhaps it was done.
        if known or (re.fullmatch("400[0-9]{2}", code) and not re.match(r"isp\.|aop\.|.*SYSTEM_ERROR", sub_code)):
            raise GatewayError("refused", known or sub_code or code, str(answer.get("sub_msg", ""))[:200])
        raise GatewayError("unknown", sub_code or code or "BAD_ANSWER", str(answer.get("sub_msg", ""))[:200])

    def _download(self, kind: str, day: date) -> bytes:
        """A bill's archive; nothing for a day without one. The address is signed for; what it gives is not."""
        try:
            terms = {"bill_type": kind, "bill_date": day.isoformat()}
            answer = self._call("alipay.data.dataservice.bill.downloadurl.query", terms)
        except GatewayError as error:
            if error.code == "NO_STATEMENT_EXIST":
                return b""
            raise
        url, own = urlsplit(str(answer.get("bill_download_url", ""))), urlsplit(settings.ALIPAY_GATEWAY_URL)
        if (url.scheme, url.netloc) != (own.scheme, own.netloc):
            if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.alipay\.com", url.netloc):
                raise GatewayError("unknown", "BAD_ANSWER", "a bill at a strange address")
            url = url._replace(scheme="https")
        return _send("GET", url.geturl())


def _report(found: Mapping[str, Any], *, paid_at: str | None) -> PaymentReport:
    """A trade as Alipay describes it. KeyError, TypeError or ValueError when it is not one."""
    reference, status = found["out_trade_no"], found["trade_status"]
    if not isinstance(reference, str) or not isinstance(status, str):
        raise TypeError("not a trade")
    if status == "TRADE_CLOSED" and not paid_at:
        return PaymentReport(reference, "closed")
    if status not in ("TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"):
        return PaymentReport(reference, "pending")
    currency = found.get("trans_currency") or "CNY"
    if not _AMOUNT.fullmatch(found["total_amount"]) or currency != "CNY":
        raise GatewayError("unknown", "BAD_AMOUNT", "not an amount in yuan with two decimals")
    fen = money.fen(found["total_amount"])
    if fen <= 0 or not re.fullmatch(r"[0-9]{16,64}", found["trade_no"]):
        raise GatewayError("unknown", "BAD_AMOUNT", "no amount or no trade")
    back = found.get("refund_fee") or "0.00"
    return PaymentReport(
        reference=reference,
        state="refunded" if status == "TRADE_CLOSED" or back != "0.00" else "captured",
        transaction_id=found["trade_no"],
        fen=fen,
        captured_at=timezone.make_aware(datetime.strptime(paid_at, "%Y-%m-%d %H:%M:%S")) if paid_at else None,
    )


def _send(method: str, url: str, content: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    try:
        timeout = settings.OUTSIDE_TIMEOUT_SECONDS
        answer = outside.client().request(method, url, content=content, headers=headers, timeout=timeout)
    except httpx.ConnectError as error:
        raise GatewayError("unknown", "NO_CONNECTION", str(error)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise GatewayError("unknown", "NO_ANSWER", type(error).__name__) from error
    if answer.status_code != 200:
        raise GatewayError("unknown", f"HTTP_{answer.status_code}")
    return answer.content


def _clock(moment: datetime) -> str:
    """A time as Alipay reads it, in China's."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S")
