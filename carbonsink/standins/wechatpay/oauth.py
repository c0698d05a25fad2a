"""The official account's OAuth (snsapi_base): the app's page that sends a browser back with a code, and the exchange
of that code for the openid. A browser keeps its openid in a cookie, as WeChat's own keeps its user.
"""

import secrets
import time
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, jsonify, make_response, redirect, request

from .. import keys
from ..standin import endpoint
from .gateway import gateway

oauth = Blueprint("oauth", __name__)

# By WeChat's documentation: a code is for one exchange within five minutes.
CODE_SECONDS = 300
COOKIE = "standin_openid"


@oauth.get("/connect/oauth2/authorize")
def authorize() -> Any:
    """Goes straight back with a code: for snsapi_base nobody is asked."""
    asked = request.args
    back = asked.get("redirect_uri", "")
    if asked.get("appid") != keys.APP_ID or not back.startswith(("http://", "https://")):
        abort(400, "appid 或 redirect_uri 参数错误（10003）")
    if asked.get("response_type") != "code" or asked.get("scope") != "snsapi_base":
        abort(400, "response_type 或 scope 参数错误（10005）")
    openid = request.cookies.get(COOKIE) or "o" + secrets.token_hex(14)[:27]
    code = secrets.token_hex(16)
    with gateway().store.transaction() as db:
        db.execute("INSERT INTO codes (code, openid, issued_at) VALUES (?, ?, ?)", (code, openid, time.time()))
    joint = "&" if "?" in back else "?"
    answer = redirect(f"{back}{joint}{urlencode({'code': code, 'state': asked.get('state', '')})}")
    answer.set_cookie(COOKIE, openid, path="/connect", httponly=True, samesite="Lax")
    return answer


@oauth.get("/sns/oauth2/access_token")
@endpoint("access_token", signed=False)
def access_token() -> Response:
    """The openid of a code, once. Errors are answers with `errcode` and status 200, as WeChat gives them."""
    asked = request.args
    if asked.get("appid") != keys.APP_ID:
        return _error(40013, "invalid appid")
    if not secrets.compare_digest(asked.get("secret", "").encode(), gateway().oauth_key.encode()):
        return _error(40125, "invalid appsecret")
    if asked.get("grant_type") != "authorization_code":
        return _error(40002, "invalid grant_type")
    with gateway().store.transaction() as db:
        row = db.execute("SELECT * FROM codes WHERE code = ?", (asked.get("code", ""),)).fetchone()
        if row is None or row["issued_at"] + CODE_SECONDS < time.time():
            return _error(40029, "invalid code")
        if row["used"]:
            return _error(40163, "code been used")
        db.execute("UPDATE codes SET used = 1 WHERE code = ?", (row["code"],))
    answer = {
        "access_token": secrets.token_hex(32),
        "expires_in": 7200,
        "refresh_token": secrets.token_hex(32),
        "openid": row["openid"],
        "scope": "snsapi_base",
    }
    return _plain(answer)


def _error(number: int, text: str) -> Response:
    return _plain({"errcode": number, "errmsg": text})


def _plain(answer: dict[str, Any]) -> Response:
    response = make_response(jsonify(answer))
    response.content_type = "text/plain"
    return response
