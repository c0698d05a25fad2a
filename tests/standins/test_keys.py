from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from carbonsink.standins import keys


def test_generating_again_changes_nothing(directory: Path) -> None:
    before = {path.name: path.read_bytes() for path in directory.glob("*.pem")}
    keys.generate(directory)
    assert {path.name: path.read_bytes() for path in directory.glob("*.pem")} == before
    assert len(before) == 16


def test_files_are_private_and_the_apiv3_key_is_32_ascii_characters(directory: Path) -> None:
    for path in [*directory.glob("*.pem"), directory / keys.APIV3_KEY]:
        assert path.stat().st_mode & 0o777 == 0o600
    apiv3 = (directory / keys.APIV3_KEY).read_bytes()
    assert len(apiv3) == 32
    assert apiv3.isalnum()


def test_only_missing_files_are_made_and_a_public_key_follows_its_private_one(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    kept = (tmp_path / keys.MERCHANT_KEY).read_bytes()
    (tmp_path / keys.BANK_KEY).unlink()
    (tmp_path / keys.MERCHANT_PUBLIC).unlink()
    keys.generate(tmp_path)
    assert (tmp_path / keys.MERCHANT_KEY).read_bytes() == kept
    for private, public in ((keys.BANK_KEY, keys.BANK_PUBLIC), (keys.MERCHANT_KEY, keys.MERCHANT_PUBLIC)):
        pair = load_pem_private_key((tmp_path / private).read_bytes(), None)
        assert pair.public_key() == load_pem_public_key((tmp_path / public).read_bytes())
    assert not list(tmp_path.glob(".*"))


def test_settings_point_to_files_that_exist(directory: Path) -> None:
    settings = keys.settings_for(directory, "http://127.0.0.1:1", "http://127.0.0.1:2")
    assert all(Path(value).is_file() for name, value in settings.items() if name.endswith("_FILE"))
    assert settings["WECHATPAY_BASE_URL"] == "http://127.0.0.1:1"
    assert settings["STANDIN_BANK_URL"] == "http://127.0.0.1:2"
