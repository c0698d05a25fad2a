"""Certificates: what was signed can be checked by anyone, and nothing else passes for it."""

import base64
import hashlib
import html
import io
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from carbonsink.states import move
from purchases import certificates
from purchases.models import Certificate, Order
from tests import factories
from tests.ground.threads import at_once
from tests.purchases import books
from trees.models import Tree

YEAR = timezone.localdate().year


def certified(quantity: int = 2, holder: str = "从江县 <林业> & 友") -> Certificate:
    factories.market(quantity + 1)
    order = factories.paid_order(quantity, holder=holder)
    assert order.certificate is not None
    return order.certificate


def page(certificate: Certificate) -> Any:
    return Client(headers={"accept-language": "en"}).get(reverse("purchases:certificate", args=[certificate.token]))


@pytest.mark.django_db
def test_anyone_can_check_a_certificate_with_the_public_key_alone() -> None:
    certificate = certified()
    answer = page(certificate)
    assert answer.status_code == 200
    assert answer.context["genuine"] is True
    shown = html.unescape(answer.content.decode())
    text, key = answer.context["payload"], answer.context["public_key"]
    assert text in shown
    assert key in shown
    Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(
        base64.b64decode(certificate.signature), text.encode()
    )
    numbers = sorted(Tree.objects.filter(sinks__certificate=certificate).values_list("number", flat=True))
    signed = json.loads(text)
    issued_at, key_id = signed.pop("issued_at"), signed.pop("key_id")
    assert signed == {
        "serial": certificate.serial, "holder": "从江县 <林业> & 友", "vintage": YEAR, "trees": 2, "kg_co2_by_tariff": 20,
        "trees_sha256": hashlib.sha256("".join(f"{number}\n" for number in numbers).encode()).hexdigest(),
    }  # fmt: skip
    assert timezone.datetime.fromisoformat(issued_at) <= timezone.now()
    assert key_id == hashlib.sha256(base64.b64decode(key)).hexdigest()[:16]
    assert "从江县 <林业> & 友" not in answer.content.decode()  # Escaped, like everything a buyer writes.
    for number in numbers:
        assert number in shown.replace(" ", "").replace("\u202f", "") or number in shown
    books.all_is_well()


ALTERED = {
    "holder": "holder = 'somebody else'",
    "more trees": "trees = 3",
    "more kilograms": "kg = 21",
    "another year": "vintage = vintage + 1",
    "another serial": "serial = 'DZTH-2030-0000099'",
    "other trees": "trees_sha256 = repeat('0', 64)",
    "another day": "issued_at = issued_at - interval '1 microsecond'",
    "another signature": f"signature = '{base64.b64encode(b'x' * 64).decode()}'",
    "a short signature": "signature = 'AAAA'",
    "no signature": "signature = ''",
    "no base64": "signature = 'x'",
    "another key": "key_id = 'ffffffffffffffff'",
}


# What a certificate says cannot be changed at all, unless somebody takes the guard off.
OFF = "SET LOCAL session_replication_role = replica"


@pytest.mark.django_db
@pytest.mark.parametrize("what", ALTERED)
def test_what_a_certificate_says_cannot_be_changed(what: str) -> None:
    certified()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE purchases_certificate SET {ALTERED[what]}")


@pytest.mark.django_db
@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_certificate_is_not_genuine(what: str) -> None:
    certificate = certified()
    assert page(certificate).context["genuine"] is True
    with connection.cursor() as cursor:
        cursor.execute(OFF)
        cursor.execute(f"UPDATE purchases_certificate SET {ALTERED[what]}")
    answer = page(certificate)
    assert (answer.status_code, answer.context["genuine"]) == (200, False)


@pytest.mark.django_db
def test_a_certificate_that_covers_other_trees_than_were_signed_is_not_genuine() -> None:
    certificate = certified()
    with connection.cursor() as cursor:
        cursor.execute(OFF)
        cursor.execute(
            "UPDATE purchases_sink SET certificate_id = NULL WHERE id = (SELECT min(id) FROM purchases_sink)"
        )
    assert page(certificate).context["genuine"] is False
    assert books.found() == {"valid certificates that do not cover their trees": [certificate.serial]}


@pytest.mark.django_db
def test_a_certificate_signed_by_somebody_else_is_not_genuine(settings: Any, tmp_path: Any) -> None:
    certificate = certified()
    with connection.cursor() as cursor:
        cursor.execute(OFF)
    forger = Ed25519PrivateKey.generate()
    certificate.signature = base64.b64encode(forger.sign(certificates.payload(certificate))).decode()
    certificate.save()
    assert page(certificate).context["genuine"] is False
    certificate.key_id = certificates.key_id(forger.public_key())
    certificate.signature = base64.b64encode(forger.sign(certificates.payload(certificate))).decode()
    certificate.save()
    assert page(certificate).context["genuine"] is False


@pytest.mark.django_db
def test_certificates_of_a_former_key_stay_genuine_while_it_is_listed(settings: Any, tmp_path: Any) -> None:
    certificate = certified()
    former = certificates.signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    new = tmp_path / "new.pem"
    new.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    settings.CERTIFICATE_KEY_FILE = str(new)
    assert page(certificate).context["genuine"] is False
    settings.CERTIFICATE_FORMER_KEYS = [base64.b64encode(former).decode()]
    assert page(certificate).context["genuine"] is True


@pytest.mark.django_db
def test_a_certificate_outlives_its_tree() -> None:
    certificate = certified()
    move(Tree.objects.filter(sinks__certificate=certificate).earliest("pk"), Tree.State.DEAD)
    assert page(certificate).context["genuine"] is True
    books.all_is_well()


@pytest.mark.django_db
def test_an_unpaid_order_has_no_certificate() -> None:
    factories.market(3)
    order = factories.order(2)
    shown = Client().get(f"/api/v1/orders/{order.token}").json()
    assert (shown["certificate"], shown["state"]) == (None, "held")
    from purchases import orders

    orders.expire_order(order)
    assert Client().get(f"/api/v1/orders/{order.token}").json()["certificate"] is None
    assert not Certificate.objects.exists()


@pytest.mark.django_db
def test_the_address_cannot_be_guessed_from_the_serial() -> None:
    factories.market(4)
    issued = [factories.paid_order(1).certificate for _ in range(4)]
    assert len({one.token for one in issued if one}) == 4
    for one in issued:
        assert one is not None
        assert len(one.token) == 22  # 128 random bits.
        assert one.serial not in one.token
        for guess in (one.serial, str(one.pk), one.order.number, one.order.token):
            assert Client().get(f"/c/{guess}/").status_code == 404
        assert Client().get(f"/orders/{one.token}/").status_code == 404


@pytest.mark.django_db
def test_the_check_page_does_not_tell_the_buyers_contact_nor_the_orders_address() -> None:
    factories.market(1)
    order = factories.paid_order(1, contact="13912345678")
    assert order.certificate is not None
    shown = page(order.certificate).content.decode()
    assert "13912345678" not in shown
    assert order.token not in shown


@pytest.mark.django_db
def test_the_qr_code_is_a_picture() -> None:
    certificate = certified()
    answer = Client().get(reverse("purchases:certificate-qr", args=[certificate.token]))
    assert answer["Content-Type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == "PNG"
    assert picture.width == picture.height >= 200


@pytest.mark.django_db(transaction=True)
def test_serials_are_unique_and_without_gaps_under_parallel_captures() -> None:
    factories.market(12)
    payments = [factories.order(1).payments.get() for _ in range(12)]
    assert at_once(*[lambda one=one: factories.capture(one) for one in payments]) == [None] * 12
    serials = list(Certificate.objects.order_by("pk").values_list("serial", flat=True))
    numbers = [int(serial.removeprefix(f"DZTH-{YEAR}-")) for serial in serials]
    assert len(set(numbers)) == 12
    assert max(numbers) - min(numbers) == 11
    first = Order.objects.get(certificates__serial=f"DZTH-{YEAR}-{min(numbers):07d}")
    assert first.state == "paid"
    # The next ones go on from there.
    assert factories.market(1)
    later = factories.paid_order(1).certificate
    assert later is not None
    assert later.serial == f"DZTH-{YEAR}-{max(numbers) + 1:07d}"
    books.all_is_well()
