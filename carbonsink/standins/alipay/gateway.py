"""The running stand-in: its keys, signatures and words."""

import argparse
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Response, make_response, request

from .. import keys, signing
from ..channel import Channel
from ..faults import FAULTS
from ..fields import RefusalError
from ..outbox import Manner
from ..standin import current
from .notifications import AlipayManner

# What a merchant asks for by `method`, and where faults can be switched on.
PLACES = {
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.refund": "refund",
    "alipay.trade.fastpay.refund.query": "refund_query",
    "alipay.data.dataservice.bill.downloadurl.query": "bill",
}


class Gateway(Channel):
    name = "alipay"
    signed_prefix = "/gateway.do"
    payer = "支付宝（中国）网络技术有限公司"
    remittance = "ALIPAY SETTLEMENT"

    def __init__(self, options: argparse.Namespace) -> None:
        self._own_key = keys.load_rsa_private(options.dir / keys.ALIPAY_KEY)
        self._app_key = keys.load_rsa_public(options.dir / keys.ALIPAY_APP_PUBLIC)
        super().__init__(options, Path(__file__).with_name("schema.sql"))

    def manner(self) -> Manner:
        return AlipayManner(self.signature)

    def signature(self, message: bytes, *, forged: bool = False) -> str:
        return signing.rsa_sign(self._strangers_key if forged else self._own_key, message)

    @functools.cached_property
    def _strangers_key(self) -> RSAPrivateKey:
        return keys.new_rsa_key()

    def verify(self, sent: signing.Sent) -> None:
        parameters = asked()
        if parameters.get("app_id") != keys.ALIPAY_APP_ID:
            raise refusal("isv.invalid-app-id", "无效的AppID参数", "40002")
        if parameters.get("sign_type") != "RSA2" or parameters.get("charset") != "utf-8":
            raise refusal("isv.invalid-signature-type", "无效的签名类型或编码", "40002")
        try:
            message = signing.alipay_message(parameters, without={"sign"})
            signing.rsa_check(self._app_key, message, parameters.get("sign", ""))
        except signing.SignatureRefusedError as error:
            raise refusal("isv.invalid-signature", f"无效签名：{error}", "40002") from error

    def sign(self, response: Response, *, forged: bool = False) -> Response:
        """The answer within an object beside its signature, over its own bytes."""
        name = asked().get("method", "error").replace(".", "_") + "_response"
        content = response.get_data()
        signature = self.signature(content, forged=forged)
        response.set_data(b'{"%s":%s,"sign":"%s"}' % (name.encode(), content, signature.encode()))
        return response

    def refused(self, refusal: RefusalError) -> Response:
        return words({"code": refusal.code, "msg": "Business Failed"} | (refusal.detail or {}), refusal.status)

    def failure(self) -> Response:
        return words({"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "isp.unknow-error"}, 500)

    def other_places(self) -> dict[str, frozenset[str]]:
        return super().other_places() | {place: frozenset(FAULTS) for place in PLACES.values()}


def words(answer: Mapping[str, object], status: int = 200) -> Response:
    """An answer's own bytes; a slash is written \\/ as Alipay writes it."""
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    return make_response(text, status, {"Content-Type": "text/html;charset=utf-8"})


def refusal(sub_code: str, sub_msg: str, code: str = "40004") -> RefusalError:
    """A refusal as Alipay says it: always with status 200."""
    return RefusalError(200, code, sub_msg, {"sub_code": sub_code, "sub_msg": sub_msg})


def asked() -> dict[str, str]:
    """The parameters of the current request, in its address and in its form."""
    return request.args.to_dict() | request.form.to_dict()


def gateway() -> Gateway:
    """The stand-in that serves the current request."""
    return cast(Gateway, current())
