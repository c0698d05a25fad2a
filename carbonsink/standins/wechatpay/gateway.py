"""The running stand-in: its keys and signatures."""

import argparse
import functools
import secrets
import time
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Response, request

from .. import keys, signing
from ..channel import Channel
from ..fields import RefusalError
from ..outbox import Manner
from ..standin import current
from .notifications import WechatManner


class Gateway(Channel):
    name = "wechatpay"
    signed_prefix = "/v3"
    payer = "财付通支付科技有限公司"
    remittance = "WXPAY SETTLEMENT"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, Path(__file__).with_name("schema.sql"))
        self.apiv3_key = (options.dir / keys.APIV3_KEY).read_bytes()
        self.merchant_key = keys.load_rsa_public(options.dir / keys.MERCHANT_PUBLIC)
        self.oauth_key = (options.dir / keys.OAUTH_KEY).read_text()
        self._own_key = keys.load_rsa_private(options.dir / keys.WECHATPAY_KEY)

    def manner(self) -> Manner:
        return WechatManner(self.headers)

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


def gateway() -> Gateway:
    """The stand-in that serves the current request."""
    return cast(Gateway, current())
