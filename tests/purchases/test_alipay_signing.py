"""Alipay's signatures as pure functions: what was signed is the text as it came."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from purchases.gateways.alipay import signing

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NAME = "alipay_trade_query_response"
# Alipay escapes slashes, and a reader that writes the object anew would lose that.
CONTENT = '{"code":"10000","msg":"Success","url":"http:\\/\\/x","b": 1 ,"名":"}\\"{,"}'


def signed(text: str, key: rsa.RSAPrivateKey = KEY) -> str:
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def answer(content: str = CONTENT, sign: str | None = None, name: str = NAME) -> bytes:
    return f'{{"{name}":{content},"sign":"{signed(content) if sign is None else sign}"}}'.encode()


def test_an_answer_is_verified_over_its_own_bytes() -> None:
    found = signing.read_answer(answer(), NAME, KEY.public_key())
    assert (found["url"], found["名"]) == ("http://x", '}"{,')
    sign = signed(CONTENT)
    for form in (
        f'{{"sign":"{sign}","{NAME}":{CONTENT}}}', f' {{ "{NAME}" : {CONTENT} ,\r\n"sign" : "{sign}" }}\n',
        f'{{"{NAME}":{CONTENT},"alipay_cert_sn":"1","sign":"{sign}"}}', f'{{"{NAME}":{CONTENT},"sign":"{sign.replace("/", chr(92) + "/")}"}}',
    ):  # fmt: skip
        assert signing.read_answer(form.encode(), NAME, KEY.public_key()) == found


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"<html>", b"\xff", b"[" * 100_000, answer()[:-1], answer() + b"x", answer() * 2,
        answer(sign=""), answer(sign="%%%"), answer(sign="AAAA"), answer(sign=signed(CONTENT, OTHER)),
        answer(sign=signed(CONTENT + " ")), answer(name="alipay_trade_close_response"), answer(name="error_response"),
        answer().replace(b"10000", b"40004"), answer().replace(b" 1 ,", b"1,"), answer().replace(b"\\/", b"/"),
        answer('"text"'), answer("[1]"), answer("null"),
        f'{{"{NAME}":{{}},"{NAME}":{CONTENT},"sign":"{signed(CONTENT)}"}}'.encode(),
        f'{{"{NAME}":{CONTENT},"{NAME}":{{}},"sign":"{signed(CONTENT)}"}}'.encode(),
        f'{{"{NAME}":{CONTENT}}}'.encode(), f'{{"{NAME}":{CONTENT},"sign":1}}'.encode(),
        f'{{"{NAME}":{CONTENT},"sign":null}}'.encode(), f'{{"x":{{"{NAME}":{CONTENT},"sign":"{signed(CONTENT)}"}}}}'.encode(),
    ],
)  # fmt: skip
def test_any_other_answer_is_refused(body: bytes) -> None:
    with pytest.raises(signing.BadSignature):
        signing.read_answer(body, NAME, KEY.public_key())


def test_a_request_signs_all_that_is_not_empty_in_the_order_of_names() -> None:
    parameters = {"b": "2 &=", "sign_type": "RSA2", "a": "一", "empty": "", "C": "3"}
    sign = signing.sign(parameters, KEY)
    assert sign == signed("C=3&a=一&b=2 &=&sign_type=RSA2")
    assert signing.sign(parameters | {"sign": "x"}, KEY) == sign
