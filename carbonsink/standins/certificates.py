"""Certificates as Alipay gives them out: roots, of which not all are signed by RSA, and one for each side's key."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

YEARS = timedelta(days=3650)
PARTS = (
    (NameOID.COUNTRY_NAME, "C"),
    (NameOID.ORGANIZATION_NAME, "O"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    (NameOID.COMMON_NAME, "CN"),
)


@dataclass(frozen=True)
class Made:
    """PEM files."""

    roots: bytes
    alipay: bytes
    app: bytes


def make(*, app: rsa.RSAPublicKey, alipay: rsa.RSAPublicKey) -> Made:
    """New roots, and certificates of these keys by the first of them."""
    key, other = rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP256R1())
    name, others = _name("Stand-in Certification Authority R1"), _name("Stand-in Certification Authority E1")
    roots = [
        _certificate(others, other.public_key(), others, other),
        _certificate(name, key.public_key(), name, key),
    ]
    return Made(
        b"\n".join(roots),
        _certificate(_name("支付宝-2088000000000117"), alipay, name, key),
        _certificate(_name("carbonsink"), app, name, key),
    )


def number(pem: bytes) -> str:
    """A certificate's number as Alipay reckons it: MD5 of the issuer's name, its common name first, and the serial."""
    return _number(x509.load_pem_x509_certificate(pem))


def root_number(pem: bytes) -> str:
    """The number of a file of roots: of those that RSA signed, joined by underscores."""
    return "_".join(_number(one) for one in _of_rsa(x509.load_pem_x509_certificates(pem)))


def public_key(path: Path) -> rsa.RSAPublicKey:
    """The RSA key of a certificate."""
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError(f"{path} holds no RSA key.")
    return key


def _of_rsa(certificates: list[x509.Certificate]) -> Iterator[x509.Certificate]:
    return (one for one in certificates if isinstance(one.public_key(), rsa.RSAPublicKey))


def _number(certificate: x509.Certificate) -> str:
    issuer = {part.oid: str(part.value) for part in certificate.issuer}
    name = ",".join(f"{letters}={issuer[oid]}" for oid, letters in reversed(PARTS))
    return hashlib.md5(f"{name}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()


def _name(common: str) -> x509.Name:
    values = ("CN", "Stand-in", "Certification Authority", common)
    return x509.Name([x509.NameAttribute(oid, value) for (oid, _), value in zip(PARTS, values, strict=True)])


def _certificate(
    subject: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    by: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - YEARS, now + YEARS)
    return builder.sign(by, SHA256()).public_bytes(Encoding.PEM)
