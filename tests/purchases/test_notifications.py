"""What comes to the notification's door: the genuine is booked once, everything else changes nothing."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection
from django.test import Client

from carbonsink.ledger.models import Entry
from purchases import payments
from purchases.checkout import start_payment
from purchases.models import Certificate, Notification, Order, Payment
from tests import factories
from tests.ground.threads import at_once
from tests.processes import wait_for
from tests.purchases import books
from tests.purchases.sealing import PATH, Wechat, deliver
from tests.standins.clients import WechatClient

Sent = tuple[dict[str, str], bytes]
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def wechatpay(wechat_keys: dict[str, str]) -> Wechat:
    return Wechat(wechat_keys)


def held() -> Payment:
    factories.market(2)
    return factories.order(2).payments.get()


def changed(event: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(event) | changes).encode()


def resealed(event: bytes, **changes: Any) -> bytes:
    found = json.loads(event)
    found["resource"] |= changes
    return json.dumps(found).encode()


def bitflip(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[10] ^= 1
    return base64.b64encode(bytes(raw)).decode()


def with_header(**changes: str) -> Callable[[Wechat, Sent], Sent]:
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    return lambda wechat, sent: (sent[0] | names, sent[1])


def without(name: str) -> Callable[[Wechat, Sent], Sent]:
    return lambda wechat, sent: ({key: value for key, value in sent[0].items() if key != name}, sent[1])


def signed_anew(change: Callable[[bytes], bytes]) -> Callable[[Wechat, Sent], Sent]:
    def make(wechat: Wechat, sent: Sent) -> Sent:
        body = change(sent[1])
        return wechat.headers(body), body

    return make


def ciphertext(event: bytes) -> str:
    return str(json.loads(event)["resource"]["ciphertext"])


# What somebody without WeChat's signing key can do with a genuine notification, or without one.
FORGED: dict[str, Callable[[Wechat, Sent], Sent]] = {
    "no headers": lambda wechat, sent: ({}, sent[1]),
    "no timestamp": without("Wechatpay-Timestamp"),
    "no nonce": without("Wechatpay-Nonce"),
    "no signature": without("Wechatpay-Signature"),
    "no serial": without("Wechatpay-Serial"),
    "empty signature": with_header(Wechatpay_Signature=""),
    "not base64": with_header(Wechatpay_Signature="%%%"),
    "another's key": lambda wechat, sent: (wechat.headers(sent[1], key=STRANGER), sent[1]),
    "unknown serial": with_header(Wechatpay_Serial="PUB_KEY_ID_0000000000000000000000000000000000"),
    "a probe": lambda wechat, sent: (
        sent[0] | {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + sent[0]["Wechatpay-Signature"]}, sent[1],
    ),
    "a bare probe": with_header(Wechatpay_Signature="WECHATPAY/SIGNTEST/"),
    "one byte more": lambda wechat, sent: (sent[0], sent[1] + b"\n"),
    "one byte less": lambda wechat, sent: (sent[0], sent[1][:-1]),
    "empty body": lambda wechat, sent: (sent[0], b""),
    "another event id": lambda wechat, sent: (sent[0], changed(sent[1], id="EV-other")),
    "altered ciphertext": lambda wechat, sent: (
        sent[0], resealed(sent[1], ciphertext=bitflip(ciphertext(sent[1]))),
    ),
    "another nonce": with_header(Wechatpay_Nonce="0" * 32),
    "nonce and timestamp swapped": lambda wechat, sent: (
        sent[0]
        | {"Wechatpay-Nonce": sent[0]["Wechatpay-Timestamp"], "Wechatpay-Timestamp": sent[0]["Wechatpay-Nonce"]},
        sent[1],
    ),
    "signature of another body": lambda wechat, sent: (wechat.headers(b"{}"), sent[1]),
    "one second younger": lambda wechat, sent: (
        sent[0] | {"Wechatpay-Timestamp": str(int(sent[0]["Wechatpay-Timestamp"]) + 1)}, sent[1],
    ),
    "301 s old": lambda wechat, sent: (wechat.headers(sent[1], at=-301), sent[1]),
    "an hour old": lambda wechat, sent: (wechat.headers(sent[1], at=-3600), sent[1]),
    "301 s ahead": lambda wechat, sent: (wechat.headers(sent[1], at=302), sent[1]),
    "an endless timestamp": with_header(Wechatpay_Timestamp="9" * 400),
    "a longer one": with_header(Wechatpay_Timestamp="9" * 5000),
    "no number of seconds": with_header(Wechatpay_Timestamp="now"),
    # Signed by WeChat, and still not what a capture of ours looks like.
    "sealed with another key": signed_anew(
        lambda event: resealed(event, ciphertext=base64.b64encode(b"x" * 200).decode())
    ),
    "signed, ciphertext altered": signed_anew(lambda event: resealed(event, ciphertext=bitflip(ciphertext(event)))),
    "signed, ciphertext no base64": signed_anew(lambda event: resealed(event, ciphertext="?")),
    "signed, nonce missing": signed_anew(lambda event: changed(event, resource={"ciphertext": "AA=="})),
    "signed, other associated data": signed_anew(lambda event: resealed(event, associated_data="refund")),
    "signed, resource a text": signed_anew(lambda event: changed(event, resource="text")),
    "signed, no resource": signed_anew(lambda event: changed(event, resource=None)),
    "signed, no JSON": signed_anew(lambda event: b"\x00\xff"),
    "signed, a list": signed_anew(lambda event: b"[]"),
    "signed, nothing": signed_anew(lambda event: b""),
    "signed, no id": signed_anew(lambda event: event.replace(b'"id"', b'"no"')),
    "signed, nested too deep": signed_anew(lambda event: b"[" * 100_000),
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_notification_is_refused_and_leaves_nothing(name: str, wechatpay: Wechat) -> None:
    payment = held()
    headers, body = FORGED[name](wechatpay, wechatpay.genuine(payment))
    before = books.lines()
    answer = deliver(headers, body)
    assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
    assert books.lines() == before == []
    assert not Notification.objects.exists()
    assert not Certificate.objects.exists()
    assert Order.objects.get().state == "held"
    assert Payment.objects.get().state == "created"
    # And the genuine one is still taken.
    assert deliver(*wechatpay.genuine(payment)).status_code == 200
    assert Order.objects.get().state == "paid"
    books.all_is_well()


def amount(**changes: Any) -> dict[str, Any]:
    return {"amount": {"total": 600, "currency": "CNY"} | changes}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"mchid": "1900000110"},
        {"appid": "wx0000000000000000"},
        amount(currency="USD"),
        amount(total=0),
        amount(total=-600),
        amount(total="600"),
        amount(total=6e2),
        amount(total=True),
        amount(total=None),
        {"amount": None},
        {"amount": 600},
        {"success_time": "yesterday"},
        {"success_time": None},
    ],
    ids=str,
)
def test_a_genuine_notification_of_something_else_is_refused(wrong: dict[str, Any], wechatpay: Wechat) -> None:
    payment = held()
    assert deliver(*wechatpay.genuine(payment, **wrong)).status_code == 401
    assert books.lines() == []
    assert not Notification.objects.exists()
    assert Order.objects.get().state == "held"


@pytest.mark.django_db
def test_a_capture_of_an_unknown_payment_is_kept_and_goes_to_suspense_once(wechatpay: Wechat) -> None:
    payment = held()
    for _ in range(2):
        assert deliver(*wechatpay.genuine(payment, out_trade_no="0" * 32)).status_code == 200
    assert list(Notification.objects.values_list("payment", flat=True)) == [None, None]
    assert books.balances() == {"gateway": 600, "suspense": -600}
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
def test_money_that_somebody_sent_back_at_the_gateway_is_not_taken_for_paid(wechatpay: Wechat) -> None:
    payment = held()
    assert deliver(*wechatpay.genuine(payment, trade_state="REFUND")).status_code == 200
    assert Order.objects.get().state == "held"
    assert books.balances() == {"gateway": 600, "suspense": -600}
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED", "TRANSACTION.FAIL", ""])
def test_other_events_are_kept_and_book_nothing(kind: str, wechatpay: Wechat) -> None:
    payment = held()
    body = json.dumps(wechatpay.event(wechatpay.trade(payment), event_type=kind)).encode()
    assert deliver(wechatpay.headers(body), body).status_code == 200
    kept = Notification.objects.get()
    assert (kept.payment, bytes(kept.body)) == (None, body)
    assert books.lines() == []
    assert Order.objects.get().state == "held"


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["NOTPAY", "CLOSED", "PAYERROR", "USERPAYING", "SOMETHING_NEW"])
def test_only_a_success_is_a_capture(state: str, wechatpay: Wechat) -> None:
    payment = held()
    assert deliver(*wechatpay.genuine(payment, trade_state=state)).status_code == 200
    assert books.lines() == []
    assert Payment.objects.get().state == "created"


@pytest.mark.django_db
@pytest.mark.parametrize("total", [1, 599, 601, 10**9])
def test_a_wrong_amount_goes_to_suspense_and_pays_nothing(total: int, wechatpay: Wechat) -> None:
    payment = held()
    sent = wechatpay.genuine(payment, **amount(total=total))
    assert [deliver(*sent).status_code, deliver(*sent).status_code] == [200, 200]
    assert books.balances() == {"gateway": total, "suspense": -total}
    assert Order.objects.get().state == "held"
    assert Payment.objects.get().captured_fen == total
    assert not Certificate.objects.exists()
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
def test_a_genuine_notification_is_booked_once_and_kept_as_it_came(wechatpay: Wechat) -> None:
    payment = held()
    headers, body = wechatpay.genuine(payment)
    for _ in range(3):
        answer = deliver(headers, body)
        assert (answer.status_code, answer.json()) == (200, {"code": "SUCCESS", "message": "成功"})
    # The same event sent again later is signed anew; an old signature is not taken again.
    assert deliver(wechatpay.headers(body), body).status_code == 200
    assert deliver(wechatpay.headers(body, at=-301), body).status_code == 401
    kept = Notification.objects.get()
    assert bytes(kept.body) == body
    assert kept.headers["Wechatpay-Signature"] == headers["Wechatpay-Signature"]
    assert set(kept.headers) == set(headers)
    assert kept.payment == payment
    assert books.balances() == {"gateway": 600, "household": -600}
    assert Entry.objects.get().reference == f"capture:{payment.reference}"
    order = Order.objects.get()
    assert (order.state, order.certificates.count()) == ("paid", 1)
    assert [(row.from_state, row.to_state) for row in order.history()] == [("held", "paid")]
    paid = Payment.objects.get()
    assert (paid.state, paid.captured_fen, paid.transaction_id) == ("captured", 600, f"4200{payment.pk:016d}")
    books.all_is_well()


@pytest.mark.django_db
def test_another_event_about_the_same_capture_is_the_same_capture(wechatpay: Wechat) -> None:
    payment = held()
    assert deliver(*wechatpay.genuine(payment)).status_code == 200
    assert deliver(*wechatpay.genuine(payment)).status_code == 200
    assert Notification.objects.count() == 2
    assert Payment.objects.count() == 1
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
def test_the_door_is_for_posts_of_known_gateways() -> None:
    client = Client()
    assert client.get(PATH).status_code == 405
    assert client.post("/payments/alipay/notifications", b"{}", content_type="application/json").status_code == 404
    assert client.post(PATH, b"x" * (2 * 1024 * 1024), content_type="application/json").status_code == 400


@pytest.mark.django_db(transaction=True)
def test_a_crash_between_storing_and_booking_is_mended_by_the_next_delivery(
    wechatpay: Wechat, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = held()
    sent = wechatpay.genuine(payment)
    with monkeypatch.context() as crash:
        crash.setattr(payments, "book_capture", lambda *args: 1 / 0)
        assert deliver(*sent, calm=True).status_code == 500
    assert Notification.objects.count() == 1
    assert books.lines() == []
    assert deliver(*sent).status_code == 200
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["issue_certificate", "_share", "_fen"])
def test_a_crash_while_booking_leaves_nothing_and_is_mended_by_the_next_delivery(
    step: str, wechatpay: Wechat, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = held()
    sent = wechatpay.genuine(payment)
    with monkeypatch.context() as crash:
        crash.setattr(payments, step, lambda *args: 1 / 0)
        assert deliver(*sent, calm=True).status_code == 500
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")
    assert books.lines() == []
    assert deliver(*sent).status_code == 200
    assert (Order.objects.get().state, Certificate.objects.count()) == ("paid", 1)
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_the_same_notification_50_times_at_once_is_one_capture(wechatpay: Wechat) -> None:
    sent = wechatpay.genuine(held())
    answers = at_once(*[lambda: deliver(*sent)] * 50)
    assert [answer.status_code for answer in answers] == [200] * 50, answers
    booked_once()
    assert Notification.objects.count() == 1


def booked_once() -> None:
    assert Payment.objects.get().state == "captured"
    assert (Entry.objects.count(), Certificate.objects.count()) == (1, 1)
    assert [row.to_state for row in Order.objects.get().history()] == ["paid"]
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_50_notifications_of_the_same_capture_at_once_are_one_capture(wechatpay: Wechat) -> None:
    """Each with an event id of its own: the capture itself is what counts."""
    payment = held()
    sent = [wechatpay.genuine(payment) for _ in range(50)]
    answers = at_once(*[lambda one=one: deliver(*one) for one in sent])
    assert [answer.status_code for answer in answers] == [200] * 50, answers
    booked_once()
    assert Notification.objects.count() == 50


@pytest.mark.django_db(transaction=True)
def test_the_stand_in_gateway_may_repeat_itself(live_server: Any, settings: Any, wechat: WechatClient) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    # What the stand-in sends by itself is of no use, so that those at once really are the first ones.
    wechat.fault("notification", "garbage", times=None)
    payment = start_payment(held().order)
    wechat.pay(payment.reference)
    wait_for(lambda: wechat.notification(payment.reference)["deliveries"])
    assert Order.objects.get().state == "held"
    answers = wechat.control("POST", "notify", {"out_trade_no": payment.reference, "times": 8, "parallel": True})
    assert [one["status"] for one in answers["answers"]] == [200] * 8, answers
    wechat.control("DELETE", "faults")
    wait_for(lambda: wechat.notification(payment.reference)["state"] == "delivered")
    booked_once()
    probes = [one for one in wechat.notification(payment.reference)["deliveries"] if one["kind"] == "probe"]
    assert [probe["status"] for probe in probes] == [401]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["duplicate", "garbage", "bad_signature"])
def test_faults_of_the_stand_ins_notification_change_nothing(
    live_server: Any, settings: Any, gateway: WechatClient, fault: str
) -> None:
    # A stand-in of its own: what other tests left with a shared one would use up the fault.
    settings.PUBLIC_BASE_URL = live_server.url
    gateway.fault("notification", fault)
    payment = start_payment(held().order)
    gateway.pay(payment.reference)
    wait_for(lambda: gateway.notification(payment.reference)["state"] == "delivered")
    deliveries = [one["status"] for one in gateway.notification(payment.reference)["deliveries"]]
    assert deliveries == {"duplicate": [401, 200, 200]}.get(fault, [401, 401, 200])
    booked_once()


@pytest.mark.django_db
def test_what_was_received_cannot_be_rewritten(wechatpay: Wechat) -> None:
    deliver(*wechatpay.genuine(held()))
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE purchases_notification SET event_id = 'x'")
