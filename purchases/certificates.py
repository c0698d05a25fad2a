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


# `trees_digest` of joined trees t, made by the database, since they may be 500,000.
_TREES_SHA256 = """encode(sha256(convert_to(
    coalesce(string_agg(t.number || E'\\n', '' ORDER BY t.number COLLATE "C"), ''), 'UTF8')), 'hex')"""


class _Covered(NamedTuple):
    """Locked sinks as a certificate counts them: `own` when all are its order's, and under the former certificate or
    under none."""

    trees: int
    kg: int
    trees_sha256: str
    own: bool


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


def published_keys() -> list[dict[str, Any]]:
    """The public keys for offline checks, today's first: id, algorithm, and the raw key in base64."""
    today = key_id(signing_key().public_key())
    return [
        {
            "key_id": name,
            "algorithm": "Ed25519",
            "public_key": base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode(),
            "signs_today": name == today,
        }
        for name, key in public_keys().items()
    ]


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
    return _issue(order, Part((), order.buyer, order.holder, order.dedication), "order_id = %s", order.pk)


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
    named = [sink_id for part in parts for sink_id in part.sink_ids]
    if len(set(named)) != len(named):
        raise RuntimeError(f"the parts of certificate {certificate.serial} overlap")
    # All of them at once and in their order, as trees that leave take theirs.
    covered = _lock("id = ANY(%s)", named, certificate.order_id, certificate.pk)
    if not covered.own or covered.trees != len(named):
        raise RuntimeError(f"the parts of certificate {certificate.serial} have sinks of another one")
    move(certificate, to_state, by=by, reason=reason)
    issued = [
        _issue(certificate.order, part, "id = ANY(%s)", list(part.sink_ids), parent=certificate, retirement=retirement)
        for part in parts
    ]
    if certificate.sinks.exists():
        raise RuntimeError(f"certificate {certificate.serial} keeps sinks that are in no part and were not released")
    return issued


def renew(certificate: Certificate, sink_ids: Sequence[int], reason: str, by: User | None = None) -> Certificate | None:
    """Ends a certificate that has lost sinks: by a successor in the same name over these, which is given, or for good
    if there are none. As in `reissue`."""
    if not sink_ids:
        move(certificate, Certificate.State.REVOKED, by=by, reason=reason)
        return None
    part = Part(sink_ids, certificate.owner, certificate.holder, certificate.dedication)
    return reissue(certificate, Certificate.State.REPLACED, [part], reason, by=by)[0]


def _lock(condition: str, value: Any, order_id: int, certificate_id: int | None) -> _Covered:
    """Locks sinks in primary-key order, as trees that leave take theirs, and counts them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*), coalesce(sum(s.kg), 0), {_TREES_SHA256},
                       coalesce(bool_and(s.order_id = %s AND coalesce(s.certificate_id = %s, s.certificate_id IS NULL)),
                                true)
                  FROM (SELECT tree_id, kg, order_id, certificate_id FROM purchases_sink
                         WHERE {condition} ORDER BY id FOR NO KEY UPDATE) s
                  JOIN trees_tree t ON t.id = s.tree_id""",  # noqa: S608 - the condition is ours alone
            [order_id, certificate_id, value],
        )
        return _Covered(*cursor.fetchone())


def _issue(
    order: Order,
    part: Part,
    condition: str,
    value: Any,
    *,
    parent: Certificate | None = None,
    retirement: Retirement | None = None,
) -> Certificate:
    """A new certificate over the sinks for which the condition holds, signed; retired at once where they were."""
    covered = _lock(condition, value, order.pk, parent.pk if parent else None)
    key = signing_key()
    certificate = Certificate(
        serial=_next_serial(order.vintage),
        order=order,
        parent=parent,
        owner=part.owner,
        holder=part.holder,
        dedication=part.dedication,
        vintage=order.vintage,
        trees=covered.trees,
        kg=covered.kg,
        trees_sha256=covered.trees_sha256,
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
            f"UPDATE purchases_sink SET certificate_id = %s WHERE {condition}",  # noqa: S608 - as above
            [certificate.pk, value],
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
    """`trees_digest` of what the register has under the certificate."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {_TREES_SHA256} FROM purchases_sink s JOIN trees_tree t ON t.id = s.tree_id
                 WHERE s.certificate_id = %s""",  # noqa: S608
            [certificate.pk],
        )
        return str(cursor.fetchone()[0])
