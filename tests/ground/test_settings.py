"""Safe by default: what production refuses to start with, each in one sentence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from carbonsink.environment import TEST_SECRETS

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "SECRET_KEY": "s" * 60,
    "FIELD_ENCRYPTION_KEYS": TEST_SECRETS["FIELD_ENCRYPTION_KEYS"],
    "FIELD_LOOKUP_KEYS": "k1:" + "ab" * 32,
    "DATABASE_URL": "postgres://127.0.0.1:1/unset",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def load(**environment: str) -> subprocess.CompletedProcess[str]:
    """Loads the settings alone, in a process with this environment."""
    code = (
        "from carbonsink import settings as s; print(s.DEPLOYMENT, s.DEBUG, s.IS_PRODUCTION, s.SESSION_COOKIE_SECURE)"
    )
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], env=own | environment, capture_output=True, text=True, cwd="/", timeout=60
    )


def test_without_a_word_it_is_production_with_debug_off() -> None:
    done = load(**SECRETS)
    assert (done.returncode, done.stdout) == (0, "production False True True\n"), done.stderr


@pytest.mark.parametrize("missing", SECRETS)
@pytest.mark.parametrize("deployment", ["production", "demo"])
def test_a_missing_secret_is_fatal_outside_tests(missing: str, deployment: str) -> None:
    done = load(**{name: value for name, value in SECRETS.items() if name != missing}, DEPLOYMENT=deployment)
    assert done.returncode == 1
    assert f"{missing} is not set. Set it in the environment; see .env.example." in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "mysql://127.0.0.1/x", "only PostgreSQL keeps our promises"),
        ("DATABASE_URL", "sqlite:///x.db", "only PostgreSQL keeps our promises"),
        ("DEPLOYMENT", "prod", "DEPLOYMENT"),
        ("DEBUG", "perhaps", "DEBUG"),
        ("HOLD_MINUTES", "a quarter", "HOLD_MINUTES"),
        ("NOTICE_LEAST_HOUSEHOLDS", "2", "NOTICE_LEAST_HOUSEHOLDS"),
    ],
)
def test_bad_values_are_refused_by_name(name: str, value: str, said: str) -> None:
    done = load(**SECRETS | {name: value})
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


class TestChecks:
    """System checks, with settings of a production site that is in order but for one thing."""

    @pytest.fixture(autouse=True)
    def production(self, settings: Any) -> None:
        for name, value in {
            "IS_PRODUCTION": True, "DEBUG": False, "PAYOUT_BANK": "ccb", "STANDIN_BANK_URL": "",
            "WECHATPAY_BASE_URL": "https://api.mch.weixin.qq.com", "PUBLIC_BASE_URL": "https://sinks.example.org",
            "PAYMENT_GATEWAYS": ["wechatpay", "alipay"], "ALLOWED_HOSTS": ["sinks.example.org"], "CERTIFICATE_KEY_FILE": "key.pem",
            "EMAIL_HOST": "mail.example.org", "SMS_PROVIDER": "given", "MESSAGES_FOLDER": "",
            "ALIPAY_TRANSFER_SINCE": "2026-01-01",
        }.items():  # fmt: skip
            setattr(settings, name, value)
        for name in dir(django_settings):
            if name.startswith(("WECHATPAY_", "WECHAT_APP_", "ALIPAY_")) and not getattr(settings, name):
                setattr(settings, name, "given")

    def found(self) -> set[str]:
        return {str(error.id) for error in run_checks() if str(error.id).startswith("carbonsink.")}

    def test_a_site_in_order_passes(self) -> None:
        assert self.found() == set()
        call_command("check")

    @pytest.mark.parametrize(
        ("name", "value", "warning"), [("EMAIL_HOST", "localhost", "W002"), ("SMS_PROVIDER", "console", "W003")]
    )
    def test_a_site_that_tells_nobody_anything_is_warned(
        self, settings: Any, name: str, value: str, warning: str
    ) -> None:
        setattr(settings, name, value)
        assert self.found() == {f"carbonsink.{warning}"}

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("DEBUG", True, "E001"),
            ("PAYOUT_BANK", "standin", "E002"),
            ("STANDIN_BANK_URL", "http://127.0.0.1:1", "E002"),
            ("WECHATPAY_BASE_URL", "http://127.0.0.1:1", "E003"),
            ("WECHATPAY_BASE_URL", "http://api.mch.weixin.qq.com", "E003"),
            ("WECHATPAY_BASE_URL", "https://weixin.qq.com.example.org", "E003"),
            ("WECHATPAY_BASE_URL", "https://evil-weixin.qq.com", "E003"),
            ("WECHAT_OAUTH_AUTHORIZE_URL", "http://127.0.0.1:1/connect/oauth2/authorize", "E009"),
            ("WECHAT_API_BASE_URL", "https://api.weixin.qq.com.example.org", "E009"),
            ("ALIPAY_GATEWAY_URL", "https://openapi-sandbox.dl.alipaydev.com/gateway.do", "E009"),
            ("WECHAT_APP_SECRET_FILE", "", "E006"),
            ("ALIPAY_SELLER_ID", "", "E006"),
            ("PUBLIC_BASE_URL", "http://sinks.example.org", "E004"),
            ("ALLOWED_HOSTS", [], "E005"),
            ("CERTIFICATE_KEY_FILE", "", "E006"),
            ("WECHATPAY_MCHID", "", "E006"),
            ("WECHATPAY_PUBLIC_KEY_FILE", "", "E006"),
            ("ALIPAY_TRANSFER_SINCE", "yesterday", "E013"),
            ("MESSAGES_FOLDER", "mail", "E009"),
            ("SMS_PROVIDER", "folder", "E009"),
            ("FIELD_ENCRYPTION_KEYS", ["short"], "E007"),
            ("FIELD_ENCRYPTION_KEYS", [""], "E007"),
            ("FIELD_LOOKUP_KEYS", {"k1": "xyz"}, "E008"),
            ("FIELD_LOOKUP_KEYS", {"k1": "ab" * 8}, "E008"),
            ("FIELD_LOOKUP_KEYS", {"": "ab" * 32}, "E008"),
            ("FIELD_LOOKUP_KEYS", {"k1": "ab" * 32, "k2": "ab" * 32 + "a"}, "E008"),
        ],
    )
    def test_one_thing_out_of_order_stops_it(self, settings: Any, name: str, value: Any, error: str) -> None:
        setattr(settings, name, value)
        assert self.found() == {f"carbonsink.{error}"}
        with pytest.raises(SystemCheckError, match=error):
            call_command("check")

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("ALIPAY_TRANSFER_APP_ID", "", "E006"),
            ("ALIPAY_TRANSFER_ROOT_CERT_FILE", "", "E006"),
            ("ALIPAY_TRANSFER_SINCE", "", "E006"),
            ("ALIPAY_GATEWAY_URL", "http://127.0.0.1:1/gateway.do", "E009"),
            ("PAYOUT_MINIMUM_FEN", 9, "E012"),
        ],
    )
    def test_payouts_by_alipay_want_all_of_theirs(self, settings: Any, name: str, value: Any, error: str) -> None:
        settings.PAYOUT_BANK, settings.PAYOUT_MINIMUM_FEN = "alipay", 10
        assert self.found() == set()
        setattr(settings, name, value)
        assert self.found() == {f"carbonsink.{error}"}
        settings.PAYOUT_BANK = "ccb"
        assert self.found() == ({f"carbonsink.{error}"} if error == "E009" else set())

    def test_two_banks_with_one_account_are_refused(self, settings: Any) -> None:
        settings.PAYOUT_BANK, settings.DAIFA_IN_DIR = "pain001", "in"
        settings.PAIN001_DEBTOR_ACCOUNT, settings.DAIFA_ACCOUNT = "6222 0200", "62220200"
        assert self.found() == {"carbonsink.E014"}
        for name, value in (("DAIFA_ACCOUNT", "62220201"), ("DAIFA_ACCOUNT", ""), ("DAIFA_IN_DIR", "")):
            former = getattr(settings, name)
            setattr(settings, name, value)
            assert self.found() == set(), name
            setattr(settings, name, former)
        settings.PAYOUT_BANK = "standin"
        settings.IS_PRODUCTION = False
        assert self.found() == set()
        settings.PAIN001_OUT_DIR = "out"
        assert self.found() == {"carbonsink.E014"}

    def test_what_production_refuses_a_demo_may_do(self, settings: Any) -> None:
        settings.IS_PRODUCTION = False
        settings.PAYOUT_BANK, settings.ALLOWED_HOSTS, settings.CERTIFICATE_KEY_FILE = "standin", [], ""
        assert self.found() == set()
