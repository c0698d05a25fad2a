"""What the market's tests share: keys of the gateway, one stand-in gateway for all tests of a worker, and the clock."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from carbonsink.standins import keys
from tests import factories
from tests.processes import Process
from tests.standins.clients import AlipayClient, WechatClient


@pytest.fixture(autouse=True)
def fast_hashing(settings: Any) -> None:
    factories.fast_hashing(settings)


@pytest.fixture
def wechat_keys(standin_keys: Path, settings: Any) -> dict[str, str]:
    """The platform's settings for a gateway that nobody answers for."""
    values = keys.settings_for(standin_keys, "http://127.0.0.1:9", "http://127.0.0.1:9")
    for name, value in values.items():
        setattr(settings, name, value)
    return values


@pytest.fixture(scope="session")
def wechat_process(standin_keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("wechat")
    for file in standin_keys.iterdir():
        (folder / file.name).symlink_to(file)
    process = Process("wechatpay", folder, "--retry-scale", "0.001")
    yield process
    process.end()


@pytest.fixture
def wechat(wechat_process: Process, standin_keys: Path, settings: Any) -> Iterator[WechatClient]:
    """The stand-in WeChat Pay, with the platform's settings for it. Its book is shared, its faults are not."""
    values = keys.settings_for(standin_keys, wechat_process.url, "http://127.0.0.1:9")
    for name, value in values.items():
        setattr(settings, name, value)
    client = WechatClient(wechat_process.url, values)
    yield client
    client.control("DELETE", "faults")
    client.http.close()


@pytest.fixture(scope="session")
def alipay_process(standin_keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("alipay")
    for file in standin_keys.iterdir():
        (folder / file.name).symlink_to(file)
    process = Process("alipay", folder, "--retry-scale", "0.00001")
    yield process
    process.end()


@pytest.fixture
def alipay_keys(standin_keys: Path, settings: Any) -> dict[str, str]:
    """Alipay is offered too; nobody answers for it."""
    values = keys.settings_for(standin_keys, "http://127.0.0.1:9", "http://127.0.0.1:9")
    for name, value in values.items():
        setattr(settings, name, value)
    settings.PAYMENT_GATEWAYS = ["wechatpay", "alipay"]
    return values


@pytest.fixture
def alipay(alipay_process: Process, alipay_keys: dict[str, str], settings: Any) -> Iterator[AlipayClient]:
    """The stand-in Alipay, with the platform's settings for it. Its book is shared, its faults are not."""
    settings.ALIPAY_GATEWAY_URL = f"{alipay_process.url}/gateway.do"
    client = AlipayClient(alipay_process.url, alipay_keys)
    yield client
    client.control("DELETE", "faults")
    client.http.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts the platform's clock forward, once or again: later(minutes=16)."""
    real, shift = timezone.now, [timedelta()]

    def now() -> datetime:
        return real() + shift[0]

    def put_forward(**time: float) -> None:
        shift[0] += timedelta(**time)
        monkeypatch.setattr(timezone, "now", now)

    return put_forward
