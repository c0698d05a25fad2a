from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carbonsink.standins import keys
from tests.processes import Process
from tests.standins.clients import AlipayClient, BankClient, Merchant, WechatClient


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standins")
    keys.generate(folder)
    return folder


@pytest.fixture(scope="session")
def settings_of(directory: Path) -> dict[str, str]:
    return keys.settings_for(directory, "", "")


@pytest.fixture(scope="session")
def bank_process(directory: Path) -> Iterator[Process]:
    process = Process("bank", directory, "--complete-after", "0")
    yield process
    process.end()


@pytest.fixture(scope="session")
def wechat_process(directory: Path, bank_process: Process) -> Iterator[Process]:
    process = Process("wechatpay", directory, "--bank-url", bank_process.url, "--retry-scale", "0.001")
    yield process
    process.end()


@pytest.fixture(scope="session")
def alipay_process(directory: Path, bank_process: Process) -> Iterator[Process]:
    process = Process("alipay", directory, "--bank-url", bank_process.url, "--retry-scale", "0.00001")
    yield process
    process.end()


@pytest.fixture
def alipay(alipay_process: Process, settings_of: dict[str, str]) -> Iterator[AlipayClient]:
    client = AlipayClient(alipay_process.url, settings_of)
    yield client
    client.control("DELETE", "faults")
    client.http.close()


@pytest.fixture
def bank(bank_process: Process, settings_of: dict[str, str]) -> Iterator[BankClient]:
    client = BankClient(bank_process.url, settings_of)
    yield client
    client.control("DELETE", "faults")
    client.http.close()


@pytest.fixture
def wechat(wechat_process: Process, settings_of: dict[str, str]) -> Iterator[WechatClient]:
    client = WechatClient(wechat_process.url, settings_of)
    yield client
    client.control("DELETE", "faults")
    client.http.close()


@pytest.fixture
def merchant() -> Iterator[Merchant]:
    server = Merchant()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start stand-ins with a book of their own in tmp_path."""
    running: list[Process] = []

    def start_one(name: str, *options: str) -> Process:
        running.append(Process(name, tmp_path, *options))
        return running[-1]

    yield start_one
    for process in running:
        if process.child.poll() is None:
            process.end()
