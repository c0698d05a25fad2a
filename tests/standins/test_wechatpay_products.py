"""JSAPI, H5 and OAuth of the stand-in, by the documented forms alone."""

import base64
import secrets
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from carbonsink import pem
from tests.standins.clients import WechatClient

NOBODY = "http://127.0.0.1:9/nobody"
JSAPI, H5 = "/v3/pay/transactions/jsapi", "/v3/pay/transactions/h5"
SCENE = {"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}}
BACK = "http://127.0.0.1:9/back"


def terms(wechat: WechatClient, **more: Any) -> dict[str, Any]:
    return wechat.terms("T" + secrets.token_hex(12), NOBODY, 300) | more


def bridge(wechat: WechatClient, prepay_id: str, at: float = 0, **changes: str) -> dict[str, str]:
    key = pem.private_key(wechat.settings["WECHATPAY_MERCHANT_KEY_FILE"], RSAPrivateKey)
    lines = [wechat.settings["WECHATPAY_APPID"], str(int(time.time() + at)), "n0nce", f"prepay_id={prepay_id}"]
    message = "".join(f"{line}\n" for line in lines).encode()
    sign = base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()
    names = ("appId", "timeStamp", "nonceStr", "package")
    return dict(zip(names, lines, strict=True)) | {"signType": "RSA", "paySign": sign} | changes


def test_a_page_inside_wechat_pays_by_the_bridge(wechat: WechatClient) -> None:
    asked = terms(wechat, payer={"openid": "oABC"})
    answer = wechat.call("POST", JSAPI, asked).json()
    assert answer["prepay_id"].startswith("wx")
    assert wechat.call("POST", JSAPI, asked).json() == answer
    paid = wechat.bridge(bridge(wechat, answer["prepay_id"]))
    assert paid.json() == {"err_msg": "get_brand_wcpay_request:ok"}
    trade = wechat.query(asked["out_trade_no"])
    assert (trade["trade_state"], trade["trade_type"]) == ("SUCCESS", "JSAPI")
    assert trade["payer"] == {"openid": "oABC"}
    assert wechat.bridge(bridge(wechat, answer["prepay_id"])).json()["code"] == "ORDERPAID"


@pytest.mark.parametrize(
    "wrong",
    [
        {"paySign": "AAAA"}, {"appId": "wx0000000000000000"}, {"nonceStr": "other"}, {"timeStamp": "1"},
        {"signType": "MD5"}, {"package": "prepay_id=wxother"}, {"at": -301},
    ],
    ids=str,
)  # fmt: skip
def test_a_bridge_call_that_was_not_signed_so_pays_nothing(wechat: WechatClient, wrong: Any) -> None:
    asked = terms(wechat, payer={"openid": "oABC"})
    prepay_id = wechat.call("POST", JSAPI, asked).json()["prepay_id"]
    refused = wechat.bridge(bridge(wechat, prepay_id, **wrong))
    assert (refused.status_code, refused.json()["code"]) == (403, "SIGN_ERROR")
    assert wechat.query(asked["out_trade_no"])["trade_state"] == "NOTPAY"


def test_who_gives_up_inside_wechat_has_not_paid(wechat: WechatClient) -> None:
    asked = terms(wechat, payer={"openid": "oABC"})
    prepay_id = wechat.call("POST", JSAPI, asked).json()["prepay_id"]
    assert wechat.bridge(bridge(wechat, prepay_id), "refuse").json()["err_msg"] == "get_brand_wcpay_request:cancel"
    assert wechat.query(asked["out_trade_no"])["trade_state"] == "NOTPAY"


@pytest.mark.parametrize("wrong", [{}, {"payer": {}}, {"payer": {"openid": ""}}, {"payer": {"openid": 1}}], ids=str)
def test_jsapi_without_an_openid_is_a_param_error(wechat: WechatClient, wrong: dict[str, Any]) -> None:
    assert wechat.call("POST", JSAPI, terms(wechat, **wrong)).json()["code"] == "PARAM_ERROR"


def test_a_phone_goes_to_the_cashier_and_back(wechat: WechatClient) -> None:
    asked = terms(wechat, scene_info=SCENE)
    url = wechat.call("POST", H5, asked).json()["h5_url"] + "&redirect_url=http%3A%2F%2F127.0.0.1%3A9%2Fback"
    cashier = wechat.http.get(url)
    assert cashier.status_code == 302
    page = wechat.http.get(wechat.url + cashier.headers["location"])
    assert "form-action 'self' http://127.0.0.1:9" in page.headers["content-security-policy"]
    stays = wechat.http.post(page.url, data={"action": "ignore"})
    assert urlsplit(stays.headers["location"]).path.startswith("/cashier/")
    paid = wechat.http.post(page.url, data={"action": "pay"})
    assert (paid.status_code, paid.headers["location"]) == (303, BACK)
    assert wechat.query(asked["out_trade_no"])["trade_type"] == "MWEB"
    assert wechat.http.get(url.replace("http%3A", "javascript%3A")).status_code == 400


@pytest.mark.parametrize(
    "scene",
    [None, {}, SCENE | {"payer_client_ip": "here"}, SCENE | {"h5_info": {"type": "App"}}, {"h5_info": {"type": "Wap"}}],
    ids=str,
)
def test_h5_without_its_scene_is_a_param_error(wechat: WechatClient, scene: Any) -> None:
    assert wechat.call("POST", H5, terms(wechat, scene_info=scene)).json()["code"] == "PARAM_ERROR"


def test_one_order_has_one_way_of_paying(wechat: WechatClient) -> None:
    asked = terms(wechat, scene_info=SCENE, payer={"openid": "oABC"})
    assert wechat.call("POST", H5, asked).status_code == 200
    assert wechat.call("POST", JSAPI, asked).json()["code"] == "OUT_TRADE_NO_USED"


def authorize(wechat: WechatClient, **changes: str) -> Any:
    asked = {
        "appid": wechat.settings["WECHATPAY_APPID"], "redirect_uri": BACK, "response_type": "code",
        "scope": "snsapi_base", "state": "s&1",
    }  # fmt: skip
    return wechat.http.get(wechat.settings["WECHAT_OAUTH_AUTHORIZE_URL"], params=asked | changes)


def exchange(wechat: WechatClient, code: str, **changes: str) -> dict[str, Any]:
    asked = {
        "appid": wechat.settings["WECHATPAY_APPID"], "code": code, "grant_type": "authorization_code",
        "secret": Path(wechat.settings["WECHAT_APP_SECRET_FILE"]).read_text(),
    }  # fmt: skip
    answer: dict[str, Any] = wechat.http.get(
        f"{wechat.settings['WECHAT_API_BASE_URL']}/sns/oauth2/access_token", params=asked | changes
    ).json()
    return answer


@pytest.fixture
def oauth(wechat: WechatClient) -> WechatClient:
    wechat.settings = wechat.settings | {
        "WECHAT_OAUTH_AUTHORIZE_URL": f"{wechat.url}/connect/oauth2/authorize", "WECHAT_API_BASE_URL": wechat.url,
    }  # fmt: skip
    return wechat


def test_a_code_gives_the_openid_once(oauth: WechatClient) -> None:
    back = parse_qs(urlsplit(authorize(oauth).headers["location"]).query)
    assert back["state"] == ["s&1"]
    (code,) = back["code"]
    assert exchange(oauth, code, secret="0" * 32)["errcode"] == 40125
    assert exchange(oauth, code, appid="wx1")["errcode"] == 40013
    assert exchange(oauth, code, grant_type="x")["errcode"] == 40002
    openid = exchange(oauth, code)["openid"]
    assert (openid[0], len(openid)) == ("o", 28)
    assert exchange(oauth, code)["errcode"] == 40163
    assert exchange(oauth, "other")["errcode"] == 40029
    # The same browser is the same person.
    again = parse_qs(urlsplit(authorize(oauth).headers["location"]).query)["code"][0]
    assert exchange(oauth, again)["openid"] == openid


@pytest.mark.parametrize(
    "wrong", [{"appid": "wx1"}, {"redirect_uri": "javascript:1"}, {"response_type": "token"}, {"scope": "all"}], ids=str
)
def test_a_wrong_question_goes_nowhere(oauth: WechatClient, wrong: dict[str, str]) -> None:
    assert authorize(oauth, **wrong).status_code == 400
