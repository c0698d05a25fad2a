"""The running stand-in: keys, signatures, and the two background jobs (notifications, settlement)."""

import argparse
import functools
import secrets
import threading
import time
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Response, request

from .. import keys, signing
from ..fields import RefusalError
from ..serving import log_line
from ..standin import Standin, current
from ..store import Store
from . import settlement
from .notifications import FITTING_FAULTS, Notifier


class Gateway(Standin):
    name = "wechatpay"
    signed_prefix = "/v3"

    def __init__(self, options: argparse.Namespace) -> None:
        schema = Path(__file__).with_name("schema.sql").read_text()
        super().__init__(Store(options.dir / "wechatpay.sqlite3", schema))
        self.fee_rate = options.fee_rate
        self.bank_url = options.bank_url.rstrip("/")
        self.apiv3_key = (options.dir / keys.APIV3_KEY).read_bytes()
        self.merchant_key = keys.load_rsa_public(options.dir / keys.MERCHANT_PUBLIC)
        self.app_secret = (options.dir / keys.OAUTH_KEY).read_text()
        self._own_key = keys.load_rsa_private(options.dir / keys.WECHATPAY_KEY)
        self._auto_settle_seconds = options.auto_settle
        self._stopping = threading.Event()
        self.notifier = Notifier(self.store, self.headers, self.faults, options.retry_scale)

    def headers(self, body: bytes, *, forged: bool = False) -> dict[str, str]:
        """Signature headers for an answer or a notification."""
        key = self._strangers_key if forged else self._own_key
        nonce, now = secrets.token_hex(16), int(time.time())
        return signing.wechat_headers(body, key, key_id=keys.PUBLIC_KEY_ID, timestamp=now, nonce=nonce)

    @functools.cached_property
    def _strangers_key(self) -> RSAPrivateKey:
        return keys.new_rsa_key()

    def verify(self, sent: signing.Sent) -> None:
        authorization = request.headers.get("Authorization", "")
        try:
            signing.verify_wechat_request(
                sent,
                authorization,
                self.merchant_key,
                mchid=keys.MERCHANT_ID,
                serial=keys.MERCHANT_SERIAL,
                now=time.time(),
            )
        except signing.SignatureRefusedError as error:
            raise RefusalError(401, "SIGN_ERROR", f"签名错误：{error}") from error
        if request.headers.get("Wechatpay-Serial", keys.PUBLIC_KEY_ID) != keys.PUBLIC_KEY_ID:
            raise RefusalError(400, "PARAM_ERROR", "Wechatpay-Serial 不是当前的微信支付公钥 ID")

    def sign(self, response: Response, *, forged: bool = False) -> Response:
        response.headers.update(self.headers(response.get_data(), forged=forged))
        return response

    def other_places(self) -> dict[str, frozenset[str]]:
        return {"notification": FITTING_FAULTS}

    def start(self) -> None:
        self.notifier.start()
        if self._auto_settle_seconds > 0:
            threading.Thread(target=self._settle_repeatedly, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self.notifier.stop()

    def _settle_repeatedly(self) -> None:
        while not self._stopping.wait(self._auto_settle_seconds):
            try:
                settlement.settle(self.store, self.bank_url)
            except RefusalError as refusal:
                log_line(level="warning", message=refusal.message)


def gateway() -> Gateway:
    """The stand-in that serves the current request."""
    return cast(Gateway, current())
