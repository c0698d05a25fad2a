"""The numbers of certificates by which an app and Alipay name their keys."""

from pathlib import Path

import pytest

from carbonsink.standins import certificates as standins
from carbonsink.standins import keys
from payouts.banks.alipay import certificates

# Alipay's root certificates as everybody downloads them, of 2020; and their number, which its users quote.
ROOTS = Path(__file__).with_name("alipay_roots.pem")
ROOTS_NUMBER = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"


def test_alipays_own_roots_have_their_known_number() -> None:
    assert ROOTS.read_text().count("BEGIN CERTIFICATE") == 4
    assert certificates.root_number(str(ROOTS)) == ROOTS_NUMBER


def test_both_sides_reckon_alike(standin_keys: Path) -> None:
    for name in (keys.ALIPAY_CERT, keys.ALIPAY_TRANSFER_CERT):
        path = standin_keys / name
        assert certificates.number(str(path)) == standins.number(path.read_bytes())
        assert certificates.public_key(str(path)) == standins.public_key(path)
    roots = standin_keys / keys.ALIPAY_ROOT
    assert certificates.root_number(str(roots)) == standins.root_number(roots.read_bytes())
    assert "_" not in certificates.root_number(str(roots))  # One of the two is not of RSA.


def test_a_file_without_a_certificate_is_refused(standin_keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no certificate"):
        certificates.number(str(standin_keys / keys.ALIPAY_PUBLIC))
    broken = tmp_path / "broken.pem"
    broken.write_bytes((standin_keys / keys.ALIPAY_CERT).read_bytes().replace(b"MII", b"MIJ", 1))
    with pytest.raises(ValueError, match="pars"):
        certificates.number(str(broken))
