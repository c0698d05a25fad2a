"""From a gateway's notification to committed books: verified, stored, payment, order, ledger, certificate."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import floor
from bench.cases.orders import goal_for, market, size
from bench.measure import Result, Setting, alternate
from carbonsink.standins import keys, signing

GOALS = {1: 5.0, 10_000: 2.0}


def one(setting: Setting) -> Result:
    """The capture of one tree."""
    return _captures(setting, 1, repeats=max(10, min(100, round(1_000 * setting.scale))))


def ten_thousand(setting: Setting) -> Result:
    """The capture of 10,000 trees: the gateway's answer and the task that books it, together."""
    return _captures(setting, 10_000, repeats=1)


def _captures(setting: Setting, whole: int, repeats: int) -> Result:
    from purchases import payments

    trees = 1 if whole == 1 else size(whole, setting.scale)
    sealer = Sealer(setting.directory / "wechatpay")
    with market(setting) as connection:

        def references() -> list[str]:
            return [floor.ask_for_payment(connection, floor.place(connection, trees)) for _ in range(repeats)]

        def ours() -> float:
            sent = [sealer.capture(reference, trees * floor.PRICE_FEN) for reference in references()]
            begun = time.perf_counter()
            for headers, body in sent:
                payments.receive_notification("wechatpay", headers, body)
            for payment in payments.unbooked_notifications():
                payments.book_stored(payment)
            return (time.perf_counter() - begun) / repeats

        def by_hand() -> float:
            sent = [(reference, *sealer.capture(reference, 1)) for reference in references()]
            begun = time.perf_counter()
            for reference, headers, body in sent:
                floor.book(connection, reference, json.dumps(headers), body)
            return (time.perf_counter() - begun) / repeats

        ours(), by_hand()
        ours_s, floor_s = alternate(setting.rounds, ours, by_hand, setting.say)
        unpaid = connection.execute(
            "SELECT count(*) FROM purchases_payment p JOIN purchases_order o ON o.id = p.order_id"
            " WHERE o.state <> 'paid'"
        ).fetchone()
    limits: dict[str, tuple[float, float]] = {"unpaid": (unpaid[0] if unpaid else 0, 0)}
    return Result(
        f"notification.{whole}", ours_s, floor_s, goal_for(GOALS[whole], whole, trees), {"trees": trees}, limits
    )


class Sealer:
    """Signs and seals like WeChat Pay, with keys of its own that the platform is told of."""

    def __init__(self, folder: Path) -> None:
        from django.conf import settings

        if not folder.exists():
            folder.mkdir()
            keys.generate(folder)
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            (folder / "certificate.pem").write_bytes(pem)
        self.values = keys.settings_for(folder, "http://127.0.0.1:9", "http://127.0.0.1:9")
        for name, value in self.values.items():
            setattr(settings, name, value)
        settings.CERTIFICATE_KEY_FILE = str(folder / "certificate.pem")
        self.apiv3 = Path(self.values["WECHATPAY_APIV3_KEY_FILE"]).read_bytes().strip()
        key = serialization.load_pem_private_key((folder / "wechatpay.key.pem").read_bytes(), None)
        self.key: Any = key

    def capture(self, reference: str, fen: int) -> tuple[dict[str, str], bytes]:
        """Headers and body of the notification of a capture."""
        trade = {
            "appid": self.values["WECHATPAY_APPID"],
            "mchid": self.values["WECHATPAY_MCHID"],
            "out_trade_no": reference,
            "transaction_id": secrets.token_hex(14),
            "trade_type": "NATIVE",
            "trade_state": "SUCCESS",
            "success_time": "2026-11-21T10:00:00+08:00",
            "payer": {"openid": "bench"},
            "amount": {"total": fen, "payer_total": fen, "currency": "CNY"},
        }
        nonce = secrets.token_hex(6)
        text = json.dumps(trade).encode()
        event = {
            "id": f"EV-{secrets.token_hex(8)}",
            "create_time": "2026-11-21T10:00:00+08:00",
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": signing.seal(self.apiv3, text, nonce=nonce, associated_data="transaction"),
                "associated_data": "transaction",
                "nonce": nonce,
            },
        }
        body = json.dumps(event, ensure_ascii=False).encode()
        headers = signing.wechat_headers(
            body,
            self.key,
            key_id=self.values["WECHATPAY_PUBLIC_KEY_ID"],
            timestamp=int(time.time()),
            nonce=secrets.token_hex(16),
        )
        return headers, body
