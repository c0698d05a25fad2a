"""Keys from files."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from carbonsink import pem


def test_a_link_that_leads_to_another_file_is_another_key(tmp_path: Path) -> None:
    link, made = tmp_path / "key.pem", [Ed25519PrivateKey.generate() for _ in range(2)]
    for number, key in enumerate(made):
        file = tmp_path / f"{number}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        found = pem.private_key(str(link), Ed25519PrivateKey)
        assert found.public_key() == key.public_key()
        assert pem.private_key(str(link), Ed25519PrivateKey) is found
