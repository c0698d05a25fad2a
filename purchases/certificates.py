"""Certificates 购碳证书: what was bought, signed with Ed25519, and checked by anyone.

The signed text is canonical JSON (sorted keys, UTF-8, no spaces), so that it can be checked offline with the public
key alone. The signature proves what was issued; the register says what holds now.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.db import connection
from django.utils import timezone

from carbonsink import pem
from carbonsink.accounts.models import User
from carbonsink.states import move
from purchases.models import Buyer, Certificate, Order, Retirement
from purchases.vintages import serial_sequence

# A certificate in one of these states covers its trees; in any other it has ended.
CURRENT = (Certificate.State.VALID, Certificate.State.RETIRED)


class _Covered(NamedTuple):
    """A sink as a certificate counts it."""

    id: int
    order: int
    certificate: int | None
    kg: int
    number: str


@dataclass(frozen=True)
class Part:
    """Sinks that get a certificate of their own: whose it is, and the name and the dedication on it."""

    sink_ids: Sequence[int]
    owner: Buyer
    holder: str
    dedication: str = ""


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


def issue_certificate(order: Order) -> Certificate:
    """Issues the certificate of a paid order; to be called in the transaction that books the payment."""
    part = Part((), order.buyer, order.holder, order.dedication)
    return _issue(order, part, _locked("s.order_id = %s", order.pk))


def reissue(
    certificate: Certificate, to_state: str, parts: Sequence[Part], reason: str, by: User | None = None
) -> list[Certificate]:
    """Ends a certificate and issues its successors, one for each part, in the order given.

    The caller has locked the order. The parts are disjoint, and each sink is the certificate's, or stands in for one
    that was released; a sink in no part must have been released. Where the sinks were retired they stay so: the
    successors are retired for the same beneficiary and purpose. DomainError("wrong_state") when the certificate has
    ended meanwhile; RuntimeError when the parts are not as said.
    """
    retirement = Retirement.objects.filter(certificate=certificate).first()
    sinks = [_locked("s.id = ANY(%s)", list(part.sink_ids)) for part in parts]
    _refuse_others(certificate, parts, sinks)
    move(certificate, to_state, by=by, reason=reason)
    issued = []
    for part, locked in zip(parts, sinks, strict=True):
        issued.append(_issue(certificate.order, part, locked, parent=certificate, retirement=retirement))
    if certificate.sinks.exists():
        raise RuntimeError(f"certificate {certificate.serial} keeps sinks that are in no part and were not released")
    return issued


def _refuse_others(certificate: Certificate, parts: Sequence[Part], sinks: Sequence[Sequence[_Covered]]) -> None:
    """RuntimeError for parts that overlap, or have sinks of another order or certificate."""
    named = [sink_id for part in parts for sink_id in part.sink_ids]
    found = [sink for locked in sinks for sink in locked]
    own = all(sink.order == certificate.order_id and sink.certificate in (certificate.pk, None) for sink in found)
    if not own or not len(set(named)) == len(named) == len(found):
        raise RuntimeError(f"the parts of certificate {certificate.serial} overlap, or have sinks of another one")


def _locked(condition: str, value: Any) -> list[_Covered]:
    """Sinks, locked in primary-key order, as trees that leave take theirs."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT s.id, s.order_id, s.certificate_id, s.kg, t.number
                  FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
                 WHERE {condition} ORDER BY s.id FOR NO KEY UPDATE OF s""",  # noqa: S608 - ours alone
            [value],
        )
        return [_Covered(*row) for row in cursor.fetchall()]


def _issue(
    order: Order,
    part: Part,
    sinks: Sequence[_Covered],
    *,
    parent: Certificate | None = None,
    retirement: Retirement | None = None,
) -> Certificate:
    """A new certificate over locked sinks, signed; retired at once where its sinks are."""
    key = signing_key()
    certificate = Certificate(
        serial=_next_serial(order.vintage),
        order=order,
        parent=parent,
        owner=part.owner,
        holder=part.holder,
        dedication=part.dedication,
        vintage=order.vintage,
        trees=len(sinks),
        kg=sum(sink.kg for sink in sinks),
        trees_sha256=trees_digest([sink.number for sink in sinks]),
        issued_at=timezone.now(),
        key_id=key_id(key.public_key()),
    )
    certificate.signature = base64.b64encode(key.sign(payload(certificate))).decode()
    certificate.save()
    if retirement is not None:
        move(certificate, Certificate.State.RETIRED, reason="as the one before it")
        Retirement.objects.create(
            certificate=certificate, beneficiary=retirement.beneficiary, purpose=retirement.purpose
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE purchases_sink SET certificate_id = %s WHERE id = ANY(%s)",
            [certificate.pk, [sink.id for sink in sinks]],
        )
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
    if certificate.state not in CURRENT:
        return True
    return _trees_now(certificate) == certificate.trees_sha256


def _trees_now(certificate: Certificate) -> str:
    """`trees_digest` of what the register has under the certificate; made there, since it may be 500,000 trees."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT encode(sha256(convert_to(
                      coalesce(string_agg(t.number || E'\\n', '' ORDER BY t.number COLLATE "C"), ''), 'UTF8')), 'hex')
                 FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id WHERE s.certificate_id = %s""",
            [certificate.pk],
        )
        return str(cursor.fetchone()[0])
