"""The running stand-in: its keys, signatures and words."""

import argparse
import functools
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Response, make_response, request

from .. import certificates, keys, signing
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
    "alipay.fund.trans.uni.transfer": "transfer",
    "alipay.fund.trans.common.query": "transfer_query",
    "alipay.data.bill.accountlog.query": "account_log",
}
# Those of the app for transfers, which is another one and signs by its certificate.
OF_TRANSFERS = frozenset(method for method, place in PLACES.items() if place.startswith(("transfer", "account_log")))


class Gateway(Channel):
    name = "alipay"
    signed_prefix = "/gateway.do"
    payer = "支付宝（中国）网络技术有限公司"
    remittance = "ALIPAY SETTLEMENT"

    def __init__(self, options: argparse.Namespace) -> None:
        self._own_key = keys.load_rsa_private(options.dir / keys.ALIPAY_KEY)
        self._app_key = keys.load_rsa_public(options.dir / keys.ALIPAY_APP_PUBLIC)
        self._transfer_key = certificates.public_key(options.dir / keys.ALIPAY_TRANSFER_CERT)
        self._certificates = {
            "app_cert_sn": certificates.number((options.dir / keys.ALIPAY_TRANSFER_CERT).read_bytes()),
            "alipay_root_cert_sn": certificates.root_number((options.dir / keys.ALIPAY_ROOT).read_bytes()),
        }
        self._own_certificate = certificates.number((options.dir / keys.ALIPAY_CERT).read_bytes())
        self.complete_after: float = options.complete_after
        self.transfer_fee_rate: Decimal = options.transfer_fee_rate
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
        app, transfers = parameters.get("app_id"), parameters.get("method", "") in OF_TRANSFERS
        if app not in (keys.ALIPAY_APP_ID, keys.ALIPAY_TRANSFER_APP_ID):
            raise refusal("isv.invalid-app-id", "无效的AppID参数", "40002")
        if transfers != (app == keys.ALIPAY_TRANSFER_APP_ID):
            raise refusal("isv.insufficient-isv-permissions", "ISV权限不足", "40006")
        if transfers and any(parameters.get(name) != value for name, value in self._certificates.items()):
            raise refusal("isv.invalid-cert-sn", "无效的证书序列号", "40002")
        if transfers and "biz_content" in request.args:
            raise refusal("isv.invalid-parameter", "biz_content 应在请求体中", "40002")
        if parameters.get("sign_type") != "RSA2" or parameters.get("charset") != "utf-8":
            raise refusal("isv.invalid-signature-type", "无效的签名类型或编码", "40002")
        try:
            message = signing.alipay_message(parameters, without={"sign"})
            signing.rsa_check(self._transfer_key if transfers else self._app_key, message, parameters.get("sign", ""))
        except signing.SignatureRefusedError as error:
            raise refusal("isv.invalid-signature", f"无效签名：{error}", "40002") from error

    def sign(self, response: Response, *, forged: bool = False) -> Response:
        """The answer within an object beside its signature, over its own bytes; in certificate mode, beside the number
        of the certificate too."""
        certificate = ""
        if asked().get("app_id") == keys.ALIPAY_TRANSFER_APP_ID:
            certificate = f'"alipay_cert_sn":"{self._own_certificate}",'
        name = asked().get("method", "error").replace(".", "_") + "_response"
        content = response.get_data()
        signature = self.signature(content, forged=forged)
        parts = (name.encode(), content, certificate.encode(), signature.encode())
        response.set_data(b'{"%s":%s,%s"sign":"%s"}' % parts)
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
