"""Clients of the stand-ins, written from the protocols alone: none of the stand-ins' own signing is used."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from carbonsink import pem

# Loaded once: it takes longer than a call.
CERTIFICATES = httpx.create_ssl_context(trust_env=False)


class Client:
    """Control calls, which need no signature; subclasses sign the others."""

    def __init__(self, url: str, settings: dict[str, str]) -> None:
        self.url, self.settings = url, settings
        self.http = httpx.Client(trust_env=False, timeout=10, verify=CERTIFICATES)

    def control(self, method: str, path: str, body: Any = None, ok: bool = True) -> Any:
        answer = self.http.request(method, f"{self.url}/control/{path}", json=body)
        assert answer.is_success or not ok, answer.text
        return answer.json()

    def fault(self, where: str, fault: str, **more: Any) -> None:
        self.control("POST", "faults", {"where": where, "fault": fault, "times": 1} | more)


class WechatClient(Client):
    def call(self, method: str, target: str, body: Any = None, **overrides: Any) -> httpx.Response:
        """Sign and send. Overrides: at (seconds), mchid, serial, sent (other bytes than those signed)."""
        raw = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        at, nonce = str(int(overrides.get("at", time.time()))), secrets.token_hex(16)
        message = f"{method}\n{target}\n{at}\n{nonce}\n".encode() + raw + b"\n"
        key = pem.private_key(self.settings["WECHATPAY_MERCHANT_KEY_FILE"], RSAPrivateKey)
        signature = base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()
        mchid = overrides.get("mchid", self.settings["WECHATPAY_MCHID"])
        serial = overrides.get("serial", self.settings["WECHATPAY_MERCHANT_SERIAL"])
        headers = {
            "Authorization": f'WECHATPAY2-SHA256-RSA2048 mchid="{mchid}",nonce_str="{nonce}",'
            f'timestamp="{at}",serial_no="{serial}",signature="{signature}"',
            "Wechatpay-Serial": self.settings["WECHATPAY_PUBLIC_KEY_ID"],
            "Content-Type": "application/json",
        }
        content = overrides.get("sent", raw)
        return self.http.request(method, self.url + target, content=content, headers=headers)

    def signed_by_wechat(self, headers: Any, body: bytes) -> bool:
        key = load_pem_public_key(Path(self.settings["WECHATPAY_PUBLIC_KEY_FILE"]).read_bytes())
        assert isinstance(key, RSAPublicKey)
        message = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n".encode() + body + b"\n"
        try:
            signature = base64.b64decode(headers["Wechatpay-Signature"], validate=True)
            key.verify(signature, message, PKCS1v15(), SHA256())
        except (ValueError, InvalidSignature):
            return False
        fresh = abs(time.time() - int(headers["Wechatpay-Timestamp"])) < 300
        return fresh and headers["Wechatpay-Serial"] == self.settings["WECHATPAY_PUBLIC_KEY_ID"]

    def opened(self, event: dict[str, Any]) -> dict[str, Any]:
        """What is sealed in a notification."""
        sealed, key = event["resource"], Path(self.settings["WECHATPAY_APIV3_KEY_FILE"]).read_bytes()
        parts = sealed["nonce"].encode(), base64.b64decode(sealed["ciphertext"])
        return json.loads(AESGCM(key).decrypt(*parts, sealed["associated_data"].encode()))

    def order(self, notify_url: str = "http://127.0.0.1:9/nobody", fen: int = 300, **more: Any) -> str:
        """Place an order; its number."""
        number = "T" + secrets.token_hex(12)
        answer = self.call("POST", "/v3/pay/transactions/native", self.terms(number, notify_url, fen) | more)
        assert answer.status_code == 200, answer.text
        return number

    def terms(self, number: str, notify_url: str, fen: int) -> dict[str, Any]:
        return {
            "appid": self.settings["WECHATPAY_APPID"],
            "mchid": self.settings["WECHATPAY_MCHID"],
            "description": "贵州单株碳汇,一棵",
            "out_trade_no": number,
            "notify_url": notify_url,
            "amount": {"total": fen, "currency": "CNY"},
        }

    def query(self, number: str) -> dict[str, Any]:
        mchid = self.settings["WECHATPAY_MCHID"]
        return self.call("GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={mchid}").json()

    def pay(self, number: str, action: str = "pay") -> dict[str, Any]:
        return self.control("POST", "pay", {"out_trade_no": number, "action": action})

    def bridge(self, params: dict[str, str], action: str = "pay") -> httpx.Response:
        """WeChat's app, asked by a page to pay; a browser test exposes this as its WeixinJSBridge."""
        return self.http.post(f"{self.url}/bridge", json=params | {"action": action})

    def notification(self, number: str) -> dict[str, Any]:
        return self.control("GET", f"notifications?out_trade_no={number}")[0]


class AlipayClient(Client):
    def parameters(self, method: str, content: Any, **changes: str) -> dict[str, str]:
        """A request's parameters, signed; changes come before the signature, except `sign`."""
        asked = {
            "app_id": self.settings["ALIPAY_APP_ID"],
            "method": method,
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": "2030-01-01 00:00:00",
            "version": "1.0",
            "biz_content": json.dumps(content, ensure_ascii=False),
        } | changes
        message = "&".join(f"{name}={asked[name]}" for name in sorted(asked) if asked[name] and name != "sign")
        key = pem.private_key(self.settings["ALIPAY_APP_KEY_FILE"], RSAPrivateKey)
        return {"sign": base64.b64encode(key.sign(message.encode(), PKCS1v15(), SHA256())).decode()} | asked

    def call(self, method: str, content: Any, **changes: str) -> dict[str, Any]:
        """The answer to a signed request, whose signature is checked."""
        answer = self.http.post(f"{self.url}/gateway.do", data=self.parameters(method, content, **changes))
        name = method.replace(".", "_") + "_response"
        raw, _, rest = answer.text.removeprefix(f'{{"{name}":').rpartition(',"sign":"')
        self.check(raw.encode(), rest.removesuffix('"}'))
        return dict(json.loads(raw))

    def check(self, message: bytes, signature: str) -> None:
        """Raises InvalidSignature unless Alipay signed this."""
        key = load_pem_public_key(Path(self.settings["ALIPAY_PUBLIC_KEY_FILE"]).read_bytes())
        assert isinstance(key, RSAPublicKey)
        key.verify(base64.b64decode(signature), message, PKCS1v15(), SHA256())

    def open(self, url: str) -> httpx.Response:
        """What a buyer's browser does with the merchant's address: the cashier page, or the refusal."""
        return self.http.get(url, follow_redirects=True)

    def trade(self, number: str) -> dict[str, Any]:
        found = [one for one in self.control("GET", "trades") if one["out_trade_no"] == number]
        return found[0] if found else {}

    def pay(self, number: str, action: str = "pay") -> dict[str, Any]:
        return self.control("POST", "pay", {"out_trade_no": number, "action": action})

    def notification(self, number: str) -> dict[str, Any]:
        return self.control("GET", f"notifications?out_trade_no={number}")[0]


class BankClient(Client):
    def call(self, method: str, target: str, body: Any = None, **overrides: Any) -> httpx.Response:
        """Sign and send. Overrides: at (seconds), nonce, client, sent (other bytes than those signed)."""
        raw = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        at, nonce = str(int(overrides.get("at", time.time()))), overrides.get("nonce", secrets.token_hex(16))
        message = f"{method}\n{target}\n{at}\n{nonce}\n{hashlib.sha256(raw).hexdigest()}\n"
        key = pem.private_key(self.settings["STANDIN_BANK_CLIENT_KEY_FILE"], Ed25519PrivateKey)
        headers = {
            "X-Bank-Client": overrides.get("client", self.settings["STANDIN_BANK_CLIENT_ID"]),
            "X-Bank-Timestamp": at,
            "X-Bank-Nonce": nonce,
            "X-Bank-Signature": base64.b64encode(key.sign(message.encode())).decode(),
        }
        content = overrides.get("sent", raw)
        return self.http.request(method, self.url + target, content=content, headers=headers)

    def signed_by_bank(self, answer: httpx.Response) -> bool:
        key = load_pem_public_key(Path(self.settings["STANDIN_BANK_PUBLIC_KEY_FILE"]).read_bytes())
        assert isinstance(key, Ed25519PublicKey)
        nonce, digest = answer.request.headers["X-Bank-Nonce"], hashlib.sha256(answer.content).hexdigest()
        at = answer.headers.get("X-Bank-Timestamp", "")
        try:
            signature = base64.b64decode(answer.headers.get("X-Bank-Signature", ""))
            key.verify(signature, f"{answer.status_code}\n{at}\n{nonce}\n{digest}\n".encode())
        except InvalidSignature:
            return False
        return True

    def terms(self, out_no: str, fen: int, **more: Any) -> dict[str, Any]:
        return {
            "out_no": out_no,
            "fen": fen,
            "from_account": self.settings["STANDIN_BANK_ESCROW_ACCOUNT"],
            "to_account": "6217000000000000019",
            "to_name": "滚修",
            "to_bank_code": "105701000012",
            "purpose": "单株碳汇兑付",
        } | more

    def fund(self, fen: int) -> int:
        credit = {
            "fen": fen,
            "counterparty_name": "主办单位",
            "remittance": "拨款",
            "reference": secrets.token_hex(8),
        }
        return self.control("POST", "credits", credit)["serial"]

    def transfer(self, fen: int, **more: Any) -> str:
        """Send a transfer that is taken; its number."""
        out_no = secrets.token_hex(8)
        answer = self.call("POST", "/v1/transfers", self.terms(out_no, fen, **more))
        assert answer.status_code == 202, answer.text
        return out_no

    def query(self, out_no: str) -> dict[str, Any]:
        return self.call("GET", f"/v1/transfers/{out_no}").json()

    def statement(self, more: str = "") -> dict[str, Any]:
        account = self.settings["STANDIN_BANK_ESCROW_ACCOUNT"]
        answer = self.call("GET", f"/v1/statements?account={account}{more}")
        assert answer.status_code == 200, answer.text
        return answer.json()


class Server(ThreadingHTTPServer):
    """Takes a hundred callers at once; by default the sixth in the queue may be turned away."""

    request_queue_size = 128


class Merchant:
    """The platform's notification address: keeps what comes and answers as told."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []
        merchant = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = merchant.answer_to(dict(self.headers), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                return

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answer_to(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Probes are refused; others get the answers that were laid out, then 200 SUCCESS."""
        self.received.append((headers, body))
        if headers.get("Wechatpay-Signature", "").startswith("WECHATPAY/SIGNTEST/"):
            return 401, b'{"code":"FAIL"}'
        return self.answers.pop(0) if self.answers else (200, b'{"code":"SUCCESS"}')

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
