"""What all tests share: the worlds come from tests/factories.py, the outside parts are real processes."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.cache import cache
from django.db import connections
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import TransactionTestCase

from carbonsink.standins import keys
from tests import emptying, template
from tests.chaos.seeds import pytest_terminal_summary
from tests.processes import Fork, Process
from tests.servers import HERE
from tests.standins.clients import BankClient, WechatClient

__all__ = ["pytest_terminal_summary"]

NO_TRUNCATE = [
    "carbonsink_statechange",
    "ledger_account",
    "ledger_entry",
    "ledger_line",
    "ledger_settlement",
    "purchases_notification",
]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Each worker's database is a copy of one that is migrated once for all, where the server is our own."""
    if url := os.environ.get("TEMPLATES_AT"):
        with (HERE / "template.lock").open("w") as lock, psycopg.connect(url, autocommit=True) as connection:
            fcntl.flock(lock, fcntl.LOCK_EX)
            name = template.ensure(connection, url, dict(os.environ))
        connections["default"].settings_dict["TEST"]["TEMPLATE"] = name


@pytest.fixture(scope="session", autouse=True)
def ledger_can_be_flushed() -> Iterator[None]:
    """Tests with real transactions end with a TRUNCATE, which the ledger refuses: here it is let through, and only
    for that statement."""
    truncate = DatabaseOperations.execute_sql_flush

    def flush(self: Any, sql_list: list[str]) -> None:
        off = [f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_truncate" for table in NO_TRUNCATE]
        on = [f"ALTER TABLE {table} ENABLE TRIGGER {table}_no_truncate" for table in NO_TRUNCATE]
        truncate(self, [*off, *sql_list, *on])

    DatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    yield
    DatabaseOperations.execute_sql_flush = truncate  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def emptied_fast() -> Iterator[None]:
    """The database is emptied in a fast way after tests with real transactions."""
    flush = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = emptying.empty  # type: ignore[method-assign]
    yield
    TransactionTestCase._fixture_teardown = flush  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def connections_end_with_their_request() -> None:
    """Else a thread of a live server keeps its own open, and the test database cannot be dropped."""
    connections.settings["default"]["CONN_MAX_AGE"] = 0


@pytest.fixture(scope="session")
def certificate_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates") / "key.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    return path


@pytest.fixture(autouse=True)
def surroundings(settings: Any, certificate_key: Path) -> None:
    """An own certificate key, and an empty cache."""
    settings.CERTIFICATE_KEY_FILE = str(certificate_key)
    cache.clear()


@pytest.fixture(scope="session")
def standin_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of keys; making RSA keys takes its time."""
    folder = tmp_path_factory.mktemp("keys")
    keys.generate(folder)
    return folder


@pytest.fixture
def standin_dir(standin_keys: Path, tmp_path: Path) -> Path:
    """A folder for stand-ins of this test alone."""
    folder = tmp_path / "standins"
    folder.mkdir()
    for file in standin_keys.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture
def bank_process(standin_dir: Path, settings: Any) -> Iterator[Process]:
    """A stand-in bank of this test alone, and the platform's settings for it."""
    process = Fork("bank", standin_dir, "--complete-after", "0")
    for name, value in keys.settings_for(standin_dir, "http://127.0.0.1:9", process.url).items():
        setattr(settings, name, value)
    yield process
    process.end()


@pytest.fixture
def bank(bank_process: Process, standin_dir: Path) -> Iterator[BankClient]:
    """Control of the stand-in bank."""
    client = BankClient(bank_process.url, keys.settings_for(standin_dir, "", bank_process.url))
    yield client
    client.http.close()


@pytest.fixture
def gateway_process(standin_dir: Path, bank_process: Process, settings: Any) -> Iterator[Process]:
    """A stand-in WeChat Pay of this test alone, and the platform's settings for it."""
    process = Fork("wechatpay", standin_dir, "--bank-url", bank_process.url, "--retry-scale", "0.001")
    for name, value in keys.settings_for(standin_dir, process.url, bank_process.url).items():
        setattr(settings, name, value)
    yield process
    process.end()


@pytest.fixture
def gateway(gateway_process: Process, standin_dir: Path) -> Iterator[WechatClient]:
    """Control of the stand-in WeChat Pay."""
    client = WechatClient(gateway_process.url, keys.settings_for(standin_dir, gateway_process.url, ""))
    yield client
    client.http.close()
