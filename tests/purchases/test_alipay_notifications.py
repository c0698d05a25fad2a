"""What comes to Alipay's door: the genuine is booked once, everything else changes nothing."""

import base64
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1

from purchases import payments
from purchases.models import Certificate, Notification, Order, Payment
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from tests.purchases.sealing import Alipay, deliver_form

STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Form = dict[str, str]


@pytest.fixture
def alipay(alipay_keys: dict[str, str]) -> Alipay:
    return Alipay(alipay_keys)


def held() -> Payment:
    factories.market(2)
    order = factories.order(2)
    order.payments.all().delete()
    return Payment.objects.create(order=order, gateway="alipay", product="page", fen=order.total_fen)


def nothing_happened() -> None:
    assert books.lines() == []
    assert not Notification.objects.exists()
    assert not Certificate.objects.exists()
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")


def changed(**changes: str) -> Callable[[Alipay, Payment], Form]:
    """A genuine one, altered after it was signed."""
    return lambda alipay, payment: alipay.genuine(payment) | changes


def without(name: str) -> Callable[[Alipay, Payment], Form]:
    return lambda alipay, payment: {key: value for key, value in alipay.genuine(payment).items() if key != name}


def signed(**changes: str) -> Callable[[Alipay, Payment], Form]:
    """Signed by Alipay, and still not what a capture of ours looks like."""
    return lambda alipay, payment: alipay.genuine(payment, **changes)


def signed_without(name: str) -> Callable[[Alipay, Payment], Form]:
    def make(alipay: Alipay, payment: Payment) -> Form:
        told = alipay.told(payment)
        del told[name]
        return alipay.sealed(told)

    return make


def twice(name: str, value: str, *, first: bool) -> Callable[[Alipay, Payment], bytes]:
    """A genuine one with one parameter more of a name that is there."""

    def make(alipay: Alipay, payment: Payment) -> bytes:
        pairs = list(alipay.genuine(payment).items())
        return urlencode([(name, value), *pairs] if first else [*pairs, (name, value)]).encode()

    return make


def by_sha1(alipay: Alipay, payment: Payment) -> Form:
    told = alipay.told(payment)
    message = "&".join(f"{name}={told[name]}" for name in sorted(told) if told[name]).encode()
    signature = alipay.key.sign(message, PKCS1v15(), SHA1())  # noqa: S303 what must be refused
    return told | {"sign": base64.b64encode(signature).decode(), "sign_type": "RSA"}


def spaced(alipay: Alipay, payment: Payment) -> Form:
    found = alipay.genuine(payment)
    return found | {"sign": f"{found['sign'][:9]} {found['sign'][9:]}"}


def folded(alipay: Alipay, payment: Payment) -> Form:
    """Two parameters folded into one: the text that was signed stays the same."""
    found = alipay.genuine(payment)
    found["subject"] += f"&total_amount={found.pop('total_amount')}"
    return found


def hidden(alipay: Alipay, payment: Payment) -> Form:
    """An amount within words that Alipay signed, and the real one folded away: to the letter what was signed."""
    found = alipay.genuine(payment, subject="x&total_amount=6.00&total_x=1", total_amount="0.01")
    return found | {"subject": "x", "total_amount": "6.00", "total_x": "1&total_amount=0.01"}


FORGED: dict[str, Callable[[Alipay, Payment], Form | bytes]] = {
    "nothing": lambda alipay, payment: b"",
    "no form": lambda alipay, payment: b"{}",
    "not ASCII": lambda alipay, payment: urlencode(alipay.genuine(payment)).encode() + "&x=é".encode(),
    "not UTF-8": lambda alipay, payment: urlencode(alipay.genuine(payment)).encode() + b"&x=%FF",
    "cut off": lambda alipay, payment: urlencode(alipay.genuine(payment)).encode()[:-40],
    "too many parameters": lambda alipay, payment: urlencode(alipay.genuine(payment)).encode() + b"&x=1" * 200,
    "no signature": without("sign"),
    "empty signature": changed(sign=""),
    "not base64": changed(sign="%%%"),
    "a space in the signature": spaced,
    "another's key": lambda alipay, payment: alipay.sealed(alipay.told(payment), STRANGER),
    "a made-up signature": lambda alipay, payment: alipay.told(payment) | {"sign": "AAAA", "sign_type": "RSA2"},
    "signature of another": lambda alipay, payment: (
        alipay.told(payment) | {"sign": alipay.genuine(payment)["sign"], "sign_type": "RSA2"}
    ),
    "altered amount": changed(total_amount="600.00"),
    "altered order": changed(out_trade_no="0" * 32),
    "altered trade": changed(trade_no="2030010222001400999999999999"),
    "altered state": changed(trade_status="TRADE_FINISHED"),
    "under another event": changed(notify_id="0" * 34),
    "one parameter more": changed(passback_params="x"),
    "one parameter less": without("subject"),
    "no sign_type": without("sign_type"),
    "sign_type RSA": changed(sign_type="RSA"),
    "sign_type none": changed(sign_type="none"),
    "sign_type twice": twice("sign_type", "RSA", first=False),
    "signed by SHA-1": by_sha1,
    "signed by SHA-1, said to be RSA2": lambda alipay, payment: by_sha1(alipay, payment) | {"sign_type": "RSA2"},
    "amount twice, last": twice("total_amount", "0.01", first=False),
    "amount twice, first": twice("total_amount", "0.01", first=True),
    "sign twice": twice("sign", "AAAA", first=False),
    "folded parameters": folded,
    "an amount in the subject": hidden,
    # Signed by Alipay, and still not what a capture of ours looks like.
    "another app": signed(app_id="2021000000000110"),
    "another seller": signed(seller_id="2088000000000110"),
    "no app": signed_without("app_id"),
    "no seller": signed_without("seller_id"),
    "no event": signed_without("notify_id"),
    "an empty event": signed(notify_id=""),
    "no order": signed_without("out_trade_no"),
    "no trade": signed_without("trade_no"),
    "a trade that is no number": signed(trade_no="' OR 1=1"),
    "no state": signed_without("trade_status"),
    "no amount": signed_without("total_amount"),
    "another charset": signed(charset="gbk"),
    "another currency": signed(trans_currency="USD"),
    "a time that is none": signed(gmt_payment="yesterday"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_notification_is_refused_and_leaves_nothing(name: str, alipay: Alipay) -> None:
    payment = held()
    answer = deliver_form(FORGED[name](alipay, payment))
    assert (answer.status_code, answer.content) == (401, b"fail")
    nothing_happened()


@pytest.mark.django_db
def test_a_genuine_notification_is_booked_once_and_kept_as_it_came(alipay: Alipay) -> None:
    payment = held()
    sent = urlencode(alipay.genuine(payment)).encode()
    for _ in range(3):
        answer = deliver_form(sent)
        assert (answer.status_code, answer.content, answer["content-type"]) == (200, b"success", "text/plain")
    kept = Notification.objects.get()
    assert (bytes(kept.body), kept.gateway, kept.payment) == (sent, "alipay", payment)
    paid = Payment.objects.get()
    assert (paid.state, paid.captured_fen, paid.transaction_id) == (
        "captured",
        600,
        f"2030010222001400{payment.pk:012d}",
    )
    assert paid.captured_at is not None
    assert paid.captured_at.isoformat() == "2030-01-01T19:04:05+00:00"
    # Another event of the same trade is the same capture: part of it went back later.
    again = alipay.genuine(payment, refund_fee="1.00", gmt_refund="2030-01-03 00:00:00.000")
    assert deliver_form(again).status_code == 200
    assert Notification.objects.count() == 2
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["WAIT_BUYER_PAY", "TRADE_CLOSED", "SOMETHING_NEW"])
def test_only_a_success_is_a_capture(status: str, alipay: Alipay) -> None:
    payment = held()
    assert deliver_form(alipay.genuine(payment, trade_status=status, gmt_payment="")).status_code == 200
    assert Notification.objects.count() == 1
    assert books.lines() == []
    assert (Order.objects.get().state, Payment.objects.get().state) == ("held", "created")


@pytest.mark.django_db
def test_a_finished_trade_is_a_capture(alipay: Alipay) -> None:
    assert deliver_form(alipay.genuine(held(), trade_status="TRADE_FINISHED")).status_code == 200
    assert Order.objects.get().state == "paid"
    books.all_is_well()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes", [{"trade_status": "TRADE_CLOSED"}, {"refund_fee": "6.00"}, {"refund_fee": "0.01"}], ids=str
)
def test_money_that_somebody_sent_back_at_alipay_is_not_taken_for_paid(changes: dict[str, str], alipay: Alipay) -> None:
    payment = held()
    assert deliver_form(alipay.genuine(payment, **changes)).status_code == 200
    assert Order.objects.get().state == "held"
    assert books.balances() == {"gateway": 600, "suspense": -600}
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
def test_other_events_are_kept_and_book_nothing(alipay: Alipay) -> None:
    payment = held()
    assert deliver_form(alipay.genuine(payment, notify_type="dut_user_sign")).status_code == 200
    assert Notification.objects.get().payment is None
    assert books.lines() == []


@pytest.mark.django_db
def test_a_capture_of_an_unknown_payment_goes_to_suspense_once(alipay: Alipay) -> None:
    payment = held()
    for _ in range(2):
        assert deliver_form(alipay.genuine(payment, out_trade_no="0" * 32)).status_code == 200
    assert books.balances() == {"gateway": 600, "suspense": -600}
    assert books.found() == books.UNEXPLAINED


@pytest.mark.django_db
def test_a_payment_of_another_gateway_is_not_alipays(alipay: Alipay) -> None:
    """The same reference at the wrong gateway is money nobody expected there."""
    payment = held()
    Payment.objects.update(gateway="wechatpay")
    assert deliver_form(alipay.genuine(payment)).status_code == 200
    assert Order.objects.get().state == "held"
    assert books.balances() == {"gateway": 600, "suspense": -600}


@pytest.mark.django_db
def test_an_event_id_longer_than_what_is_kept_is_told_by_its_digest(alipay: Alipay) -> None:
    payment = held()
    for _ in range(2):
        assert deliver_form(alipay.genuine(payment, notify_id="e" * 128)).status_code == 200
    assert len(Notification.objects.get().event_id) == 64
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_a_crash_between_storing_and_booking_is_mended_by_the_next_delivery(
    alipay: Alipay, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = alipay.genuine(held())
    with monkeypatch.context() as crash:
        crash.setattr(payments, "book_capture", lambda *args: 1 / 0)
        assert deliver_form(sent, calm=True).status_code == 500
    assert Notification.objects.count() == 1
    assert books.lines() == []
    assert deliver_form(sent).status_code == 200
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()


@pytest.mark.django_db(transaction=True)
def test_the_same_notification_20_times_at_once_is_one_capture(alipay: Alipay) -> None:
    sent = urlencode(alipay.genuine(held())).encode()
    answers = at_once(*[lambda: deliver_form(sent)] * 20)
    assert [answer.content for answer in answers] == [b"success"] * 20
    assert Notification.objects.count() == Payment.objects.count() == Certificate.objects.count() == 1
    assert books.balances() == {"gateway": 600, "household": -600}
    books.all_is_well()
