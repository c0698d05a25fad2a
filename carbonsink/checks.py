"""System checks: what must not be started, said in one sentence each. They run before every command and server."""

import re
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register, run_checks
from django.core.exceptions import ImproperlyConfigured

TAG = "carbonsink"


@register(TAG)
def production_has_no_standins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production nothing may stand in for a gateway or bank, and every address must be public HTTPS."""
    if not settings.IS_PRODUCTION:
        return []
    errors: list[CheckMessage] = []
    if settings.DEBUG:
        errors.append(Error("DEBUG is on in production. Unset DEBUG.", id="carbonsink.E001"))
    if settings.PAYOUT_BANK == "standin" or settings.STANDIN_BANK_URL:
        errors.append(
            Error(
                "A stand-in bank is configured in production. Set PAYOUT_BANK to a real bank.",
                id="carbonsink.E002",
            )
        )
    if urlsplit(settings.WECHATPAY_BASE_URL).scheme != "https" or not urlsplit(
        settings.WECHATPAY_BASE_URL
    ).netloc.endswith(".weixin.qq.com"):
        errors.append(Error("WECHATPAY_BASE_URL is not WeChat Pay's own address. Unset it.", id="carbonsink.E003"))
    for name, host in (
        ("WECHAT_OAUTH_AUTHORIZE_URL", "open.weixin.qq.com"),
        ("WECHAT_API_BASE_URL", "api.weixin.qq.com"),
        ("ALIPAY_GATEWAY_URL", "openapi.alipay.com"),
    ):
        address = urlsplit(getattr(settings, name))
        if (address.scheme, address.netloc) != ("https", host):
            errors.append(Error(f"{name} is not the provider's own address. Unset it.", id="carbonsink.E009"))
    if urlsplit(settings.PUBLIC_BASE_URL).scheme != "https":
        errors.append(Error("PUBLIC_BASE_URL must be the public https:// address of the site.", id="carbonsink.E004"))
    if not settings.ALLOWED_HOSTS:
        errors.append(Error("ALLOWED_HOSTS is empty. List the site's host names.", id="carbonsink.E005"))
    return errors


@register(TAG)
def keys_are_given(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Signing keys are files: production needs the ones of each offered gateway and of the certificates."""
    if not settings.IS_PRODUCTION:
        return []
    needed = ["CERTIFICATE_KEY_FILE"]
    if "wechatpay" in settings.PAYMENT_GATEWAYS:
        needed += [name for name in dir(settings) if name.startswith("WECHATPAY_")]
        if not settings.PAYMENT_PRODUCTS or "wechatpay.jsapi" in settings.PAYMENT_PRODUCTS:
            needed.append("WECHAT_APP_SECRET_FILE")
    if "alipay" in settings.PAYMENT_GATEWAYS:
        needed += [name for name in dir(settings) if re.match("ALIPAY_(?!TRANSFER_)", name)]
    if settings.PAYOUT_BANK == "alipay":
        needed += [name for name in dir(settings) if name.startswith("ALIPAY_TRANSFER_")]
    return [
        Error(f"{name} is not set. Set it in the environment; see .env.example.", id="carbonsink.E006")
        for name in needed
        if not getattr(settings, name)
    ]


@register(TAG)
def a_bank_pays_households(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Without a bank nothing is ever paid out; and what a bank refuses for its size is owed anew each time."""
    found: list[CheckMessage] = []
    if not settings.PAYOUT_BANK:
        found.append(Warning("PAYOUT_BANK is not set: households are paid by no one.", id="carbonsink.W001"))
    if settings.PAYOUT_BANK == "alipay" and settings.PAYOUT_MINIMUM_FEN < 10:
        found.append(
            Error(
                "Alipay transfers no less than 0.10 yuan. Set PAYOUT_MINIMUM_FEN to 10 or more.", id="carbonsink.E012"
            )
        )
    return found


@register(TAG)
def banks_have_accounts_of_their_own(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A row of a statement is known by its bank and serial number: of one account at two banks it is booked twice."""
    accounts = {"pain001": settings.PAIN001_DEBTOR_ACCOUNT, "daifa": settings.DAIFA_ACCOUNT}
    used = {
        "pain001": settings.PAIN001_OUT_DIR or settings.PAIN001_IN_DIR or settings.PAYOUT_BANK == "pain001",
        "daifa": settings.DAIFA_OUT_DIR or settings.DAIFA_IN_DIR or settings.PAYOUT_BANK == "daifa",
    }
    numbers = {"".join(account.split()) for account in accounts.values()}
    if not all(used.values()) or len(numbers) > 1 or "" in numbers:
        return []
    return [
        Error(
            "PAIN001_DEBTOR_ACCOUNT and DAIFA_ACCOUNT are one account: its rows would be booked twice. Use one of the"
            " two, and unset the other's folders.",
            id="carbonsink.E014",
        )
    ]


@register(TAG)
def days_are_days(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A day that is none would only be noticed when the statement is read, or not at all."""
    found: list[CheckMessage] = []
    try:
        date.fromisoformat(settings.ALIPAY_TRANSFER_SINCE or "2018-07-08")
    except ValueError:
        found.append(Error("ALIPAY_TRANSFER_SINCE must be a day such as 2026-01-31.", id="carbonsink.E013"))
    try:
        date.fromisoformat(f"2027-{settings.PAYOUT_YEAR_END}")  # A year without the 29th of February.
    except ValueError:
        text = "PAYOUT_YEAR_END must be a day that every year has, month first, such as 12-31."
        found.append(Error(text, id="carbonsink.E015"))
    return found


@register(TAG)
def messages_reach_people(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """In production a folder is no letter box; without a mail server and an SMS provider nobody is told anything."""
    if not settings.IS_PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.MESSAGES_FOLDER or settings.SMS_PROVIDER == "folder":
        found.append(Error("MESSAGES_FOLDER is for the demo. Unset it, and set EMAIL_URL.", id="carbonsink.E009"))
    elif settings.EMAIL_HOST in ("", None, "localhost"):
        found.append(Warning("EMAIL_URL names no mail server: buyers may get no e-mail.", id="carbonsink.W002"))
    if settings.SMS_PROVIDER == "console":
        found.append(Warning("SMS_PROVIDER is console: no SMS is sent to buyers.", id="carbonsink.W003"))
    return found


def refuse_errors() -> None:
    """For servers, which run no checks by themselves: raises ImproperlyConfigured when one of ours fails."""
    errors = [message for message in run_checks(tags=[TAG]) if message.is_serious()]
    if errors:
        raise ImproperlyConfigured(" ".join(str(error.msg) for error in errors))


@register()
def field_keys_are_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Keys of personal data that are none would only be noticed when the first household is stored."""
    errors: list[CheckMessage] = []
    try:
        for key in settings.FIELD_ENCRYPTION_KEYS:
            Fernet(key)
    except ValueError:
        errors.append(
            Error(
                "FIELD_ENCRYPTION_KEYS must be Fernet keys (32 bytes in base64), comma-separated.", id="carbonsink.E007"
            )
        )
    for key_id, key in settings.FIELD_LOOKUP_KEYS.items():
        if not re.fullmatch(r"[0-9A-Za-z]{1,20}", key_id) or not re.fullmatch(r"([0-9A-Fa-f]{2}){16,}", key):
            errors.append(
                Error(
                    "FIELD_LOOKUP_KEYS must be id:key pairs, comma-separated; an id has 1 to 20 letters or digits,"
                    " a key at least 32 hexadecimal digits.",
                    id="carbonsink.E008",
                )
            )
            break
    return errors
