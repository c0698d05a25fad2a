"""WeChat Pay v3: payments by QR code (Native), inside WeChat (JSAPI) and from a phone's browser (H5), queries, refunds,
and the daily bills."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from django.conf import settings
from django.utils import timezone

from carbonsink import outside, pem
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
from purchases.gateways.wechatpay import bills, signing

_STATES: dict[str, Any] = {
    "SUCCESS": "captured",
    "REFUND": "refunded",
    "NOTPAY": "pending",
    "USERPAYING": "pending",
    "CLOSED": "closed",
    "REVOKED": "closed",
    "PAYERROR": "pending",
}
_REFUND_STATES: dict[str, Any] = {
    "SUCCESS": "succeeded",
    "PROCESSING": "pending",
    "CLOSED": "failed",
    "ABNORMAL": "failed",
}


class WechatPay:
    """The adapter; its address, merchant and keys come from the settings WECHATPAY_*."""

    code = "wechatpay"
    products: tuple[str, ...] = ("native", "jsapi", "h5")
    answer_type = "application/json"
    accepted = '{"code": "SUCCESS", "message": "成功"}'
    refused = '{"code": "FAIL", "message": "签名错误"}'

    def create(self, request: PaymentRequest) -> Checkout:
        terms: dict[str, Any] = {
            "appid": settings.WECHATPAY_APPID,
            "mchid": settings.WECHATPAY_MCHID,
            "description": request.description,
            "out_trade_no": request.reference,
            "time_expire": timezone.localtime(request.expires_at).isoformat(timespec="seconds"),
            "notify_url": request.notify_url,
            "amount": {"total": request.fen, "currency": "CNY"},
        }
        if request.product == "jsapi":
            terms["payer"] = {"openid": request.payer}
            return Checkout(prepay_id=_text(self._call("POST", "/v3/pay/transactions/jsapi", terms), "prepay_id"))
        if request.product == "h5":
            terms["scene_info"] = {"payer_client_ip": request.payer_address, "h5_info": {"type": "Wap"}}
            url = _text(self._call("POST", "/v3/pay/transactions/h5", terms), "h5_url")
            back = f"&redirect_url={quote(request.return_url, safe='')}" if request.return_url else ""
            return Checkout(url=url + back)
        return Checkout(url=_text(self._call("POST", "/v3/pay/transactions/native", terms), "code_url"))

    @staticmethod
    def bridge(prepay_id: str) -> dict[str, str]:
        """What a page inside WeChat gives to `WeixinJSBridge.invoke("getBrandWCPayRequest", …)`, signed now."""
        return signing.bridge(
            appid=settings.WECHATPAY_APPID,
            prepay_id=prepay_id,
            key=pem.private_key(settings.WECHATPAY_MERCHANT_KEY_FILE, RSAPrivateKey),
            timestamp=int(time.time()),
            nonce=secrets.token_hex(16),
        )

    def query(self, reference: str) -> PaymentReport:
        query = urlencode({"mchid": settings.WECHATPAY_MCHID})
        answer = self._call("GET", f"/v3/pay/transactions/out-trade-no/{reference}?{query}")
        try:
            report = self._report(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise GatewayError("unknown", "BAD_ANSWER", "the content has not the expected form") from error
        if report.reference != reference:  # A signature does not say which question it answers.
            raise GatewayError("unknown", "BAD_ANSWER", "not about this payment")
        return report

    def close(self, reference: str) -> None:
        path = f"/v3/pay/transactions/out-trade-no/{reference}/close"
        self._call("POST", path, {"mchid": settings.WECHATPAY_MCHID})

    def read_notification(self, headers: Mapping[str, str], body: bytes, now: datetime) -> NotificationReport:
        try:
            signing.verify(headers, body, keys=self._platform_keys(), now=now)
            event = json.loads(body)
            if event["event_type"] != "TRANSACTION.SUCCESS":
                return NotificationReport(str(event["id"]), None)
            sealed = event["resource"]
            resource = json.loads(
                signing.unseal(
                    ciphertext=sealed["ciphertext"],
                    nonce=sealed["nonce"],
                    associated_data=sealed.get("associated_data") or "",
                    key=Path(settings.WECHATPAY_APIV3_KEY_FILE).read_bytes().strip(),
                )
            )
            return NotificationReport(str(event["id"]), self._report(resource))
        except signing.BadSignature as error:
            raise NotificationRefused(str(error)) from error
        except GatewayError as error:
            raise NotificationRefused(error.code) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise NotificationRefused("the content has not the expected form") from error

    def refund(self, request: RefundRequest) -> RefundReport:
        answer = self._call(
            "POST",
            "/v3/refund/domestic/refunds",
            {
                "transaction_id": request.transaction_id,
                "out_refund_no": request.number,
                "reason": request.reason[:80],
                "amount": {"refund": request.fen, "total": request.captured_fen, "currency": "CNY"},
            },
        )
        return self._refund_report(request.number, answer)

    def query_refund(self, number: str, transaction_id: str = "") -> RefundReport:
        return self._refund_report(number, self._call("GET", f"/v3/refund/domestic/refunds/{number}"))

    def funds(self, day: date) -> Funds:
        return bills.read_funds(self._download("fundflowbill", bill_date=day.isoformat()))

    def bill(self, day: date) -> DayBill:
        content = self._download("tradebill", bill_date=day.isoformat(), bill_type="ALL")
        if not content:
            return DayBill("", [])
        return DayBill(hashlib.sha256(content).hexdigest(), bills.read_trades(content, settings.WECHATPAY_MCHID))

    def _download(self, bill: str, **asked: str) -> bytes:
        """A bill as it is announced, by its SHA-1; nothing for a day without one."""
        try:
            answer = self._call("GET", f"/v3/bill/{bill}?{urlencode(asked)}")
        except GatewayError as error:
            if error.code == "NO_STATEMENT_EXIST":
                return b""
            raise
        url = urlsplit(_text(answer, "download_url"))
        content = self._send("GET", f"{url.path}?{url.query}", b"", signed_answer=False)
        if hashlib.sha1(content, usedforsecurity=False).hexdigest() != answer.get("hash_value"):  # Its own choice.
            raise GatewayError("unknown", "BILL_HASH", "the bill does not have the announced hash")
        return content

    @staticmethod
    def _platform_keys() -> dict[str, RSAPublicKey]:
        return {settings.WECHATPAY_PUBLIC_KEY_ID: pem.public_key(settings.WECHATPAY_PUBLIC_KEY_FILE, RSAPublicKey)}

    def _report(self, resource: dict[str, Any]) -> PaymentReport:
        """A transaction as WeChat describes it; GatewayError("unknown") when it is not ours or not in yuan."""
        if resource["mchid"] != settings.WECHATPAY_MCHID or resource["appid"] != settings.WECHATPAY_APPID:
            raise GatewayError("unknown", "NOT_OURS", "another merchant or app")
        state, reference = _STATES.get(resource["trade_state"]), _text(resource, "out_trade_no")
        if state not in ("captured", "refunded"):
            return PaymentReport(reference, state or "pending")
        amount = resource["amount"]
        if amount["currency"] != "CNY" or type(amount["total"]) is not int or not 0 < amount["total"] < 10**15:
            raise GatewayError("unknown", "BAD_AMOUNT", "not an amount in fen")
        return PaymentReport(
            reference=reference,
            state=state,
            transaction_id=_text(resource, "transaction_id"),
            fen=amount["total"],
            captured_at=datetime.fromisoformat(resource["success_time"]),
        )

    @staticmethod
    def _refund_report(number: str, answer: dict[str, Any]) -> RefundReport:
        if _field(answer, "out_refund_no") != number:
            raise GatewayError("unknown", "BAD_ANSWER", "not about this refund")
        return RefundReport(number, _REFUND_STATES.get(_field(answer, "status"), "pending"))

    def _call(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() if content is not None else b""
        answer = self._send(method, path, body)
        try:
            found = json.loads(answer) if answer else {}
        except ValueError as error:
            raise GatewayError("unknown", "BAD_ANSWER", "not JSON") from error
        if not isinstance(found, dict):
            raise GatewayError("unknown", "BAD_ANSWER", "not an object")
        return found

    def _send(self, method: str, path: str, body: bytes, *, signed_answer: bool = True) -> bytes:
        """Sends one signed request and returns the verified body of its answer, or raises GatewayError."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Wechatpay-Serial": settings.WECHATPAY_PUBLIC_KEY_ID,
            "Authorization": signing.authorization(
                method=method,
                path=path,
                body=body,
                mchid=settings.WECHATPAY_MCHID,
                serial=settings.WECHATPAY_MERCHANT_SERIAL,
                key=pem.private_key(settings.WECHATPAY_MERCHANT_KEY_FILE, RSAPrivateKey),
                timestamp=int(time.time()),
                nonce=secrets.token_hex(16),
            ),
        }
        try:
            answer = outside.client().request(
                method,
                settings.WECHATPAY_BASE_URL + path,
                content=body,
                headers=headers,
                timeout=settings.OUTSIDE_TIMEOUT_SECONDS,
            )
        except httpx.ConnectError as error:
            raise GatewayError("unknown", "NO_CONNECTION", str(error)) from error
        except httpx.HTTPError as error:
            raise GatewayError("unknown", "NO_ANSWER", type(error).__name__) from error
        if answer.status_code >= 500:
            raise GatewayError("unknown", f"HTTP_{answer.status_code}")
        if signed_answer:
            try:
                signing.verify(answer.headers, answer.content, keys=self._platform_keys(), now=datetime.now(UTC))
            except signing.BadSignature as error:
                raise GatewayError("unknown", "BAD_SIGNATURE", str(error)) from error
        if answer.status_code >= 400:
            raise GatewayError("refused", *_refusal(answer.content))
        return answer.content


def _field(answer: dict[str, Any], name: str) -> Any:
    """A field the answer must have; without it, nobody knows what was done."""
    if name not in answer:
        raise GatewayError("unknown", "BAD_ANSWER", f"{name} is missing")
    return answer[name]


def _text(answer: dict[str, Any], name: str) -> str:
    """A field that must hold words."""
    value = _field(answer, name)
    if not isinstance(value, str) or not value:
        raise GatewayError("unknown", "BAD_ANSWER", f"{name} is empty")
    return value


def _refusal(body: bytes) -> tuple[str, str]:
    try:
        answer = json.loads(body)
        return str(answer["code"]), str(answer.get("message", ""))
    except (ValueError, KeyError, TypeError):
        return "HTTP_4XX", ""
