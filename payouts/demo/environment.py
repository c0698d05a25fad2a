"""The settings of a demo: secrets made once and kept in its directory, the rest derived from where it is."""

import json
import os
import secrets
import shlex
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carbonsink.standins import keys

SECRETS = "secrets.json"
CERTIFICATE_KEY = "certificate.key.pem"
STANDINS = "standins"
EXPORTS = "environment"
STANDIN_NAMES = ("bank", "wechatpay", "alipay")
# Where nobody listens: the stand-ins of a demo that is not running.
NOBODY = dict.fromkeys(STANDIN_NAMES, "http://127.0.0.1:9")


def settings(directory: Path, *, port: int, standins: dict[str, str]) -> dict[str, str]:
    """The environment of the platform's processes, without the addresses of database and broker.

    `standins` holds the base addresses of STANDIN_NAMES. Secrets are made once and stay.
    """
    return {
        "DEPLOYMENT": "demo",
        "PAYOUT_RUN_SECONDS": "20",
        "PAYMENT_GATEWAYS": "wechatpay,alipay,transfer",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "MEDIA_ROOT": str(directory / "media"),
        "STATIC_ROOT": str(directory / "static"),
        "MESSAGES_FOLDER": str(directory / "mail"),
        "CERTIFICATE_KEY_FILE": str(_certificate_key(directory)),
        **_secrets(directory),
        **keys.settings_for(directory / STANDINS, standins["wechatpay"], standins["bank"], standins["alipay"]),
    }


def write_exports(directory: Path, environment: dict[str, str]) -> Path:
    """Write the file that a developer's shell reads to run manage.py against the running demo."""
    path = directory / EXPORTS
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items())]
    path.unlink(missing_ok=True)
    _write_private(path, "".join(lines))
    return path


def read_exports(directory: Path) -> dict[str, str]:
    """The environment of the demo that runs in this directory."""
    found = {}
    for line in (directory / EXPORTS).read_text().splitlines():
        name, _, value = shlex.split(line)[1].partition("=")
        found[name] = value
    return found


def of_children(own: dict[str, str]) -> dict[str, str]:
    """Our environment with a demo's own settings in it; what a child writes appears in its log at once."""
    return os.environ | own | {"PYTHONUNBUFFERED": "1"}


def _secrets(directory: Path) -> dict[str, str]:
    path = directory / SECRETS
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "FIELD_LOOKUP_KEYS": f"k1:{secrets.token_hex(32)}",
            "DEMO_PASSWORD": secrets.token_urlsafe(9),
        }
        _write_private(path, json.dumps(made, indent=2))
    return dict(json.loads(path.read_text()))


def _certificate_key(directory: Path) -> Path:
    path = directory / CERTIFICATE_KEY
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_private(path, pem.decode())
    return path


def _write_private(path: Path, content: str) -> None:
    """Whole or not at all, and for our eyes only from the first byte on."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    draft.replace(path)
