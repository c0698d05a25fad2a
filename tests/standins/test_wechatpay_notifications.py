import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from carbonsink.standins import keys
from tests.processes import wait_for
from tests.standins.clients import Merchant, WechatClient

PROBE = "WECHATPAY/SIGNTEST/"


def delivered(wechat: WechatClient, number: str) -> dict[str, Any]:
    def done() -> dict[str, Any] | None:
        found = wechat.notification(number)
        return found if found["state"] == "delivered" else None

    return wait_for(done)


def test_a_payment_is_notified_after_a_probe(wechat: WechatClient, merchant: Merchant) -> None:
    number = wechat.order(merchant.url, fen=900)
    paid = wechat.pay(number)
    sent = delivered(wechat, number)["deliveries"]
    assert [(one["kind"], one["status"]) for one in sent] == [("probe", 401), ("delivery", 200)]
    (probe_headers, probe), (headers, body) = merchant.received
    assert probe_headers["Wechatpay-Signature"].startswith(PROBE)
    assert not wechat.signed_by_wechat(probe_headers, probe)
    assert wechat.signed_by_wechat(headers, body)
    event = json.loads(body)
    assert (event["event_type"], event["resource_type"]) == ("TRANSACTION.SUCCESS", "encrypt-resource")
    assert event["resource"]["algorithm"] == "AEAD_AES_256_GCM"
    trade = wechat.opened(event)
    assert trade == wechat.query(number)
    assert (trade["transaction_id"], trade["amount"]["total"]) == (paid["transaction_id"], 900)
    assert (trade["mchid"], trade["appid"]) == (keys.MERCHANT_ID, keys.APP_ID)


def test_it_is_sent_again_until_the_merchant_says_success(wechat: WechatClient, merchant: Merchant) -> None:
    merchant.answers = [(500, b""), (200, b'{"code":"FAIL"}'), (200, b"not json"), (204, b"")]
    number = wechat.order(merchant.url)
    wechat.pay(number)
    assert delivered(wechat, number)["attempts"] == 4
    assert len({json.loads(body)["id"] for _, body in merchant.received}) == 1
    probes = [headers for headers, _ in merchant.received if headers["Wechatpay-Signature"].startswith(PROBE)]
    assert len(probes) == 1
    signatures = {headers["Wechatpay-Nonce"] for headers, _ in merchant.received}
    assert len(signatures) == 5


def test_one_notification_is_sent_many_times_at_once(wechat: WechatClient, merchant: Merchant) -> None:
    number = wechat.order(merchant.url)
    wechat.pay(number)
    delivered(wechat, number)
    merchant.received.clear()
    order = {"out_trade_no": number, "times": 50, "parallel": True}
    answers = wechat.control("POST", "notify", order)["answers"]
    assert [one["status"] for one in answers] == [200] * 50
    assert len({(headers["Wechatpay-Signature"], body) for headers, body in merchant.received}) == 1
    assert len(merchant.received) == 50


def test_notification_faults(wechat: WechatClient, merchant: Merchant) -> None:
    for fault in ("garbage", "bad_signature", "duplicate"):
        wechat.fault("notification", fault)
    merchant.answers = [(401, b""), (401, b"")]
    number = wechat.order(merchant.url)
    wechat.pay(number)
    delivered(wechat, number)
    garbage, forged, *twice = merchant.received[1:]
    assert "Wechatpay-Signature" not in garbage[0]
    assert not wechat.signed_by_wechat(*forged)
    assert wechat.opened(json.loads(forged[1]))["out_trade_no"] == number
    assert [wechat.signed_by_wechat(*one) for one in twice] == [True, True]


def test_what_was_not_delivered_is_sent_after_a_kill(
    start: Callable[..., Any], tmp_path: Path, merchant: Merchant
) -> None:
    slow = ("--retry-scale", "1000000")
    process = start("wechatpay", *slow)
    wechat = WechatClient(process.url, keys.settings_for(tmp_path, process.url, ""))
    merchant.answers = [(500, b"")]
    number = wechat.order(merchant.url)
    transaction_id = wechat.pay(number)["transaction_id"]
    wait_for(lambda: wechat.notification(number)["attempts"] == 1)
    process.end(signal.SIGKILL)
    process = start("wechatpay", *slow)
    wechat.url = process.url
    assert wechat.query(number)["transaction_id"] == transaction_id
    assert wechat.notification(number)["state"] == "pending"
    second = wechat.order(merchant.url)
    merchant.answers = [(500, b"")]
    wechat.pay(second)
    wait_for(lambda: wechat.notification(second)["attempts"] == 1)
    make_due(process, tmp_path)
    wechat.url = start("wechatpay", *slow).url
    for one in (number, second):
        assert [sent["kind"] for sent in delivered(wechat, one)["deliveries"]].count("probe") == 1
    wechat.http.close()


def make_due(process: Any, directory: Path) -> None:
    """Let the long pauses pass: end the process and bring the waiting attempts forward in its book."""
    assert process.end() == 0
    db = sqlite3.connect(directory / "wechatpay.sqlite3")
    with db:
        db.execute("UPDATE notifications SET next_at = 0 WHERE state = 'pending'")
    db.close()
