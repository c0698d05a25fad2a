"""Key files of the stand-ins, and the settings by which the platform finds them.

Both sides' private keys lie in one folder because both sides run on one machine; the platform is given the
paths of its own private keys and of the others' public keys only.
"""

import os
import secrets
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from . import certificates

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MERCHANT_ID = "1900000109"
APP_ID = "wx8888888888888888"
MERCHANT_SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000001092024112900326400002000"
ALIPAY_APP_ID = "2021000000000109"
ALIPAY_SELLER_ID = "2088000000000109"
ALIPAY_TRANSFER_APP_ID = "2021000000000117"
BANK_CLIENT_ID = "carbonsink"
ESCROW_ACCOUNT = "5200188000000000018"
COLLECTION_ACCOUNT = "5200188000000000026"

MERCHANT_KEY = "merchant.key.pem"
MERCHANT_PUBLIC = "merchant.pub.pem"
WECHATPAY_KEY = "wechatpay.key.pem"
WECHATPAY_PUBLIC = "wechatpay.pub.pem"
APIV3_KEY = "apiv3.key"
OAUTH_KEY = "wechat_app.secret"
ALIPAY_APP_KEY = "alipay_app.key.pem"
ALIPAY_APP_PUBLIC = "alipay_app.pub.pem"
ALIPAY_KEY = "alipay.key.pem"
ALIPAY_PUBLIC = "alipay.pub.pem"
ALIPAY_TRANSFER_KEY = "alipay_transfer_app.key.pem"
ALIPAY_TRANSFER_CERT = "alipay_transfer_app.cert.pem"
ALIPAY_TRANSFER_SET = "alipay_transfer.set"
ALIPAY_CERT = "alipay.cert.pem"
ALIPAY_ROOT = "alipay_root.cert.pem"
BANK_CLIENT_KEY = "bank_client.key.pem"
BANK_CLIENT_PUBLIC = "bank_client.pub.pem"
BANK_KEY = "bank.key.pem"
BANK_PUBLIC = "bank.pub.pem"


def new_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def generate(directory: Path) -> None:
    """Make the key files that are missing in `directory`, mode 0600; files that are there stay as they are.

    Two processes may do so at once: the first private key to be written wins, and a public key always follows
    the private one on disk.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _keep_pair(directory / MERCHANT_KEY, directory / MERCHANT_PUBLIC, new_rsa_key)
    _keep_pair(directory / WECHATPAY_KEY, directory / WECHATPAY_PUBLIC, new_rsa_key)
    _keep_pair(directory / ALIPAY_APP_KEY, directory / ALIPAY_APP_PUBLIC, new_rsa_key)
    _keep_pair(directory / ALIPAY_KEY, directory / ALIPAY_PUBLIC, new_rsa_key)
    _keep_certificates(directory)
    ed25519_key = ed25519.Ed25519PrivateKey.generate
    _keep_pair(directory / BANK_CLIENT_KEY, directory / BANK_CLIENT_PUBLIC, ed25519_key)
    _keep_pair(directory / BANK_KEY, directory / BANK_PUBLIC, ed25519_key)
    if not (directory / APIV3_KEY).exists():
        alphabet = string.ascii_letters + string.digits
        _write_once(directory / APIV3_KEY, "".join(secrets.choice(alphabet) for _ in range(32)).encode())
    if not (directory / OAUTH_KEY).exists():
        _write_once(directory / OAUTH_KEY, secrets.token_hex(16).encode())


def settings_for(
    directory: Path, wechat_url: str, bank_url: str, alipay_url: str = "http://127.0.0.1:9"
) -> dict[str, str]:
    """The environment with which the platform's ordinary adapters talk to these stand-ins."""
    folder = directory.resolve()
    return {
        "WECHATPAY_BASE_URL": wechat_url,
        "WECHATPAY_MCHID": MERCHANT_ID,
        "WECHATPAY_APPID": APP_ID,
        "WECHATPAY_MERCHANT_SERIAL": MERCHANT_SERIAL,
        "WECHATPAY_MERCHANT_KEY_FILE": str(folder / MERCHANT_KEY),
        "WECHATPAY_APIV3_KEY_FILE": str(folder / APIV3_KEY),
        "WECHATPAY_PUBLIC_KEY_ID": PUBLIC_KEY_ID,
        "WECHATPAY_PUBLIC_KEY_FILE": str(folder / WECHATPAY_PUBLIC),
        "WECHAT_OAUTH_AUTHORIZE_URL": f"{wechat_url}/connect/oauth2/authorize",
        "WECHAT_API_BASE_URL": wechat_url,
        "WECHAT_APP_SECRET_FILE": str(folder / OAUTH_KEY),
        "ALIPAY_GATEWAY_URL": f"{alipay_url}/gateway.do",
        "ALIPAY_APP_ID": ALIPAY_APP_ID,
        "ALIPAY_SELLER_ID": ALIPAY_SELLER_ID,
        "ALIPAY_APP_KEY_FILE": str(folder / ALIPAY_APP_KEY),
        "ALIPAY_PUBLIC_KEY_FILE": str(folder / ALIPAY_PUBLIC),
        "ALIPAY_TRANSFER_APP_ID": ALIPAY_TRANSFER_APP_ID,
        "ALIPAY_TRANSFER_APP_KEY_FILE": str(folder / ALIPAY_TRANSFER_KEY),
        "ALIPAY_TRANSFER_APP_CERT_FILE": str(folder / ALIPAY_TRANSFER_CERT),
        "ALIPAY_TRANSFER_ALIPAY_CERT_FILE": str(folder / ALIPAY_CERT),
        "ALIPAY_TRANSFER_ROOT_CERT_FILE": str(folder / ALIPAY_ROOT),
        "STANDIN_BANK_URL": bank_url,
        "STANDIN_BANK_CLIENT_ID": BANK_CLIENT_ID,
        "STANDIN_BANK_CLIENT_KEY_FILE": str(folder / BANK_CLIENT_KEY),
        "STANDIN_BANK_PUBLIC_KEY_FILE": str(folder / BANK_PUBLIC),
        "STANDIN_BANK_ESCROW_ACCOUNT": ESCROW_ACCOUNT,
        "TRANSFER_BANK_CODE": "standin",
        "TRANSFER_BANK_NAME": "演示银行贵阳分行",
        "TRANSFER_ACCOUNT_HOLDER": "单株碳汇收款账户",
        "TRANSFER_ACCOUNT_NUMBER": COLLECTION_ACCOUNT,
    }


def _private_key(path: Path) -> Any:
    """A key that was made here: that its numbers are a key's is not checked, which would take most of a start."""
    return serialization.load_pem_private_key(path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True)


def load_rsa_private(path: Path) -> rsa.RSAPrivateKey:
    key = _private_key(path)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path} holds no RSA private key.")
    return key


def load_rsa_public(path: Path) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError(f"{path} holds no RSA public key.")
    return key


def load_ed25519_private(path: Path) -> ed25519.Ed25519PrivateKey:
    key = _private_key(path)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise TypeError(f"{path} holds no Ed25519 private key.")
    return key


def load_ed25519_public(path: Path) -> ed25519.Ed25519PublicKey:
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TypeError(f"{path} holds no Ed25519 public key.")
    return key


def _keep_certificates(directory: Path) -> None:
    """Alipay's roots and the certificates of both sides' keys, made together: one without the others is of no use."""
    files = [directory / name for name in (ALIPAY_TRANSFER_KEY, ALIPAY_ROOT, ALIPAY_CERT, ALIPAY_TRANSFER_CERT)]
    # One file that two processes at once agree on, as they do on any key.
    together = directory / ALIPAY_TRANSFER_SET
    if not together.exists():
        key = new_rsa_key()
        made = certificates.make(app=key.public_key(), alipay=load_rsa_private(directory / ALIPAY_KEY).public_key())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_once(together, b"\0".join((private, made.roots, made.alipay, made.app)))
    for path, content in zip(files, together.read_bytes().split(b"\0"), strict=True):
        if not path.exists() or path.read_bytes() != content:
            _private_file_beside(path, content).replace(path)


def _keep_pair(private_path: Path, public_path: Path, make: Callable[[], PrivateKey]) -> None:
    if not private_path.exists():
        pem = make().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_once(private_path, pem)
    private_key = _private_key(private_path)
    public_pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if not public_path.exists() or public_path.read_bytes() != public_pem:
        _private_file_beside(public_path, public_pem).replace(public_path)


def _write_once(path: Path, content: bytes) -> None:
    """Put the file there whole or not at all, and never over one that another process has put there first."""
    draft = _private_file_beside(path, content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _private_file_beside(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return draft
