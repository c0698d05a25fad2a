"""A client of the stand-in Alipay's transfers to bank cards, written from the protocol alone."""

import base64
import hashlib
import json
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from carbonsink import pem
from carbonsink.standins.store import CHINA
from tests.standins.clients import Client

TRANSFER, QUERY, LOG = (
    "alipay.fund.trans.uni.transfer",
    "alipay.fund.trans.common.query",
    "alipay.data.bill.accountlog.query",
)
SCENE = {"product_code": "TRANS_BANKCARD_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}


def number(pem: str, which: int = 0) -> str:
    """A certificate's number."""
    found = x509.load_pem_x509_certificates(Path(pem).read_bytes())[which]
    name = {part.rfc4514_attribute_name: part.value for part in found.issuer}
    text = f"CN={name['CN']},OU={name['OU']},O={name['O']},C={name['C']}{found.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class CardClient(Client):
    def parameters(self, method: str, content: Any, **changes: str) -> dict[str, str]:
        """A request's parameters, signed; changes come before the signature, except `sign`."""
        asked = {
            "app_id": self.settings["ALIPAY_TRANSFER_APP_ID"],
            "method": method,
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": "2030-01-01 00:00:00",
            "version": "1.0",
            "app_cert_sn": number(self.settings["ALIPAY_TRANSFER_APP_CERT_FILE"]),
            # The first one in the file is not of RSA.
            "alipay_root_cert_sn": number(self.settings["ALIPAY_TRANSFER_ROOT_CERT_FILE"], 1),
            "biz_content": json.dumps(content, ensure_ascii=False),
        } | changes
        message = "&".join(f"{name}={asked[name]}" for name in sorted(asked) if asked[name] and name != "sign")
        key = pem.private_key(self.settings["ALIPAY_TRANSFER_APP_KEY_FILE"], RSAPrivateKey)
        return {"sign": base64.b64encode(key.sign(message.encode(), PKCS1v15(), SHA256())).decode()} | asked

    def call(self, method: str, content: Any, **changes: str) -> dict[str, Any]:
        """The answer to a signed request, whose signature and certificate are checked."""
        answer = self.http.post(f"{self.url}/gateway.do", data=self.parameters(method, content, **changes))
        return self.checked(method, answer)

    def checked(self, method: str, answer: httpx.Response) -> dict[str, Any]:
        name = method.replace(".", "_") + "_response"
        raw, _, rest = answer.text.removeprefix(f'{{"{name}":').rpartition(',"alipay_cert_sn":"')
        certificate, _, signature = rest.removesuffix('"}').partition('","sign":"')
        assert certificate == number(self.settings["ALIPAY_TRANSFER_ALIPAY_CERT_FILE"])
        pem = Path(self.settings["ALIPAY_TRANSFER_ALIPAY_CERT_FILE"]).read_bytes()
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, RSAPublicKey)
        key.verify(base64.b64decode(signature), raw.encode(), PKCS1v15(), SHA256())
        return dict(json.loads(raw))

    def terms(self, out_biz_no: str, amount: str = "3.00", **more: Any) -> dict[str, Any]:
        payee = {
            "identity_type": "BANKCARD_ACCOUNT",
            "identity": "6217000000000000019",
            "name": "滚修",
            "bankcard_ext_info": {"account_type": "2", "bank_code": "105701000012", "inst_name": "建设银行"},
        } | more.pop("payee", {})
        return {
            **SCENE,
            "out_biz_no": out_biz_no,
            "trans_amount": amount,
            "order_title": "单株碳汇",
            "payee_info": payee,
        } | more

    def fund(self, fen: int, name: str = "主办单位") -> None:
        body = {"fen": fen, "counterparty_name": name, "reference": secrets.token_hex(8)}
        self.control("POST", "deposits", body)

    def transfer(self, amount: str = "3.00", **more: Any) -> str:
        """Send a transfer that is taken; its number."""
        out_biz_no = secrets.token_hex(8)
        answer = self.call(TRANSFER, self.terms(out_biz_no, amount, **more))
        assert answer["code"] == "10000", answer
        return out_biz_no

    def query(self, out_biz_no: str) -> dict[str, Any]:
        return self.call(QUERY, {**SCENE, "out_biz_no": out_biz_no})

    def log(self, **more: str) -> dict[str, Any]:
        """Today's rows of the account's log, newest first."""
        now = datetime.now(CHINA)
        times = {"start_time": now - timedelta(days=1), "end_time": now + timedelta(seconds=2)}
        return self.call(LOG, {name: f"{at:%Y-%m-%d %H:%M:%S}" for name, at in times.items()} | more)

    def book(self) -> dict[str, Any]:
        """What the stand-in's own book says."""
        return dict(self.control("GET", "transfers"))
