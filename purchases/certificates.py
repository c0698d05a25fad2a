"""Certificates 购碳证书: what was bought, signed with Ed25519, and checked by anyone.

The signed text is canonical JSON (sorted keys, UTF-8, no spaces), so that it can be checked offline with the public
key alone. The signature proves what was issued; the register says what holds now.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import connection
from django.utils import timezone

from carbonsink import pem
from purchases.models import Certificate, Order, Sink
from purchases.vintages import serial_sequence


def signing_key() -> Ed25519PrivateKey:
    """The key certificates are signed with."""
    return pem.private_key(settings.CERTIFICATE_KEY_FILE, Ed25519PrivateKey)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def public_keys() -> dict[str, Ed25519PublicKey]:
    """The keys that certificates may be signed with, by their id: today's and the former ones."""
    former = [Ed25519PublicKey.from_public_bytes(base64.b64decode(text)) for text in settings.CERTIFICATE_FORMER_KEYS]
    return {key_id(key): key for key in [signing_key().public_key(), *former]}


def public_key_text() -> str:
    """The raw public key, base64, for offline checks."""
    return base64.b64encode(signing_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def trees_digest(numbers: list[str]) -> str:
    """SHA-256 (hex) of the sorted tree numbers, one a line: binds the certificate to its trees."""
    return hashlib.sha256("".join(f"{number}\n" for number in sorted(numbers)).encode()).hexdigest()


def payload(certificate: Certificate) -> bytes:
    """The signed text of a certificate."""
    text: dict[str, Any] = {
        "serial": certificate.serial,
        "holder": certificate.holder,
        "vintage": certificate.vintage,
        "trees": certificate.trees,
        "kg_co2_by_tariff": certificate.kg,
        "trees_sha256": certificate.trees_sha256,
        "issued_at": certificate.issued_at.isoformat(),
        "key_id": certificate.key_id,
    }
    if certificate.dedication:
        text["dedication"] = certificate.dedication
    return json.dumps(text, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def issue_certificate(order: Order, *, parent: Certificate | None = None) -> Certificate:
    """Issues the certificate of a paid order; to be called in the transaction that books the payment.

    With a `parent`, it is the successor of that one, in the same name, over the sinks the order has now.
    """
    # In primary-key order, as trees that leave take their sinks.
    list(order.sinks.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    numbers = list(order.sinks.values_list("tree__number", flat=True))
    key = signing_key()
    certificate = Certificate(
        serial=_next_serial(order.vintage),
        order=order,
        parent=parent,
        owner_id=parent.owner_id if parent else order.buyer_id,
        holder=parent.holder if parent else order.holder,
        dedication=parent.dedication if parent else order.dedication,
        vintage=order.vintage,
        trees=len(numbers),
        kg=len(numbers) * order.kg,
        trees_sha256=trees_digest(numbers),
        issued_at=timezone.now(),
        key_id=key_id(key.public_key()),
    )
    certificate.signature = base64.b64encode(key.sign(payload(certificate))).decode()
    certificate.save()
    Sink.objects.filter(order=order).update(certificate=certificate)
    return certificate


def _next_serial(vintage: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(%s)", [serial_sequence(vintage)])
        return f"DZTH-{vintage}-{cursor.fetchone()[0]:07d}"


def is_genuine(certificate: Certificate) -> bool:
    """Whether the signature fits what is stored, and the trees are the ones that were signed."""
    key = public_keys().get(certificate.key_id)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(certificate.signature), payload(certificate))
    except (InvalidSignature, ValueError):  # An altered signature need not be base64 any more.
        return False
    if certificate.state != Certificate.State.VALID:
        return True
    return trees_digest(list(certificate.sinks.values_list("tree__number", flat=True))) == certificate.trees_sha256
