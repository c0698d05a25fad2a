"""The official account's OAuth (snsapi_base): how a page inside WeChat learns the buyer's openid, asking nobody.

Source: WeChat's documentation of official accounts, "Web page authorization". Its answers are not signed: in production
they come over HTTPS from WeChat's own address, which a system check demands.
"""

import json
from pathlib import Path
from urllib.parse import urlencode

import httpx
from django.conf import settings

from carbonsink import outside
from purchases.gateways.base import GatewayError


def authorize_url(*, back: str, state: str) -> str:
    """Where the browser goes; it comes back to `back` with `code` and this state."""
    asked = {
        "appid": settings.WECHATPAY_APPID,
        "redirect_uri": back,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    return f"{settings.WECHAT_OAUTH_AUTHORIZE_URL}?{urlencode(asked)}#wechat_redirect"


def exchange(code: str) -> str:
    """The openid that a code stands for, once. GatewayError("refused") for a used, old or invented code."""
    asked = {
        "appid": settings.WECHATPAY_APPID,
        "secret": Path(settings.WECHAT_APP_SECRET_FILE).read_text().strip(),
        "code": code,
        "grant_type": "authorization_code",
    }
    try:
        address = f"{settings.WECHAT_API_BASE_URL}/sns/oauth2/access_token"
        answer = outside.client().get(address, params=asked, timeout=settings.OUTSIDE_TIMEOUT_SECONDS)
        found = json.loads(answer.content) if answer.status_code == 200 else None
    except httpx.HTTPError as error:  # Its text would name the address, and with it the secret.
        raise GatewayError("unknown", "NO_ANSWER", type(error).__name__) from None
    except ValueError as error:
        raise GatewayError("unknown", "BAD_ANSWER", "not JSON") from error
    if not isinstance(found, dict):
        raise GatewayError("unknown", "BAD_ANSWER", f"HTTP {answer.status_code}")
    if found.get("errcode"):
        raise GatewayError("refused", f"WECHAT_{found['errcode']}")
    openid = found.get("openid")
    if not isinstance(openid, str) or not openid:
        raise GatewayError("unknown", "BAD_ANSWER", "openid is missing")
    return openid
