"""Alipay's certificate mode: which certificate an app signs with, and which of Alipay's signs its answers.

A certificate's number is the MD5 of its issuer's name, the last part first, and its serial number in decimal; that of
the file of root certificates joins those that RSA signed by an underscore, for the file holds SM2 ones too.
Source: Alipay open platform, the rules of its own SDKs (`AntCertificationUtil`, `AopCertClient`).
"""

import base64
import functools
import hashlib
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
_SIGNED_BY_RSA = "1.2.840.113549.1.1."
# How that begins in a certificate's own bytes. Some of the others are encoded in ways that no library reads today.
_RSA_BYTES = bytes.fromhex("2a864886f70d0101")


@functools.lru_cache(maxsize=16)
def _read(path: str) -> list[x509.Certificate]:
    """The certificates in a PEM file that have to do with RSA. OSError or ValueError when it cannot be read."""
    blocks = [block for block in _BLOCK.findall(Path(path).read_bytes()) if _RSA_BYTES in _der(block)]
    if not blocks:
        raise ValueError(f"{path} holds no certificate of an RSA key.")
    return [x509.load_pem_x509_certificate(block) for block in blocks]


def _der(block: bytes) -> bytes:
    return base64.b64decode(b"".join(block.splitlines()[1:-1]))


def number(path: str) -> str:
    """The number of the certificate in a PEM file; of its first one, should it hold its chain."""
    return _number(_read(path)[0])


def root_number(path: str) -> str:
    """The number of a file of root certificates."""
    return "_".join(
        _number(one) for one in _read(path) if one.signature_algorithm_oid.dotted_string.startswith(_SIGNED_BY_RSA)
    )


def public_key(path: str) -> RSAPublicKey:
    """The RSA key that the certificate in a PEM file vouches for. TypeError for a key of another kind."""
    key = _read(path)[0].public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError(f"{path} holds no certificate of an RSA key.")
    return key


def _number(certificate: x509.Certificate) -> str:
    name = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
