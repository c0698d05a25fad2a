"""Reading what a merchant asks for, and saying that all is well."""

import json
import re
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from .gateway import refusal, words


def content_of(parameters: dict[str, str]) -> dict[str, Any]:
    """The request's biz_content, which must be a JSON object."""
    try:
        content = json.loads(parameters.get("biz_content", ""))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise refusal("isv.invalid-parameter", "biz_content 应为 JSON 对象", "40002")
    return content


def text(
    data: dict[str, Any], name: str, pattern: str, default: str | None = None, code: str = "ACQ.INVALID_PARAMETER"
) -> str:
    """A string that matches the whole pattern; without a default it must be there."""
    value = data.get(name, default)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise refusal(code, f"参数无效：{name}")
    return value


def amount(data: dict[str, Any], name: str, code: str = "ACQ.INVALID_PARAMETER") -> int:
    """Fen of an amount in yuan with two decimals."""
    fen = int(text(data, name, r"(0|[1-9][0-9]{0,8})\.[0-9]{2}", code=code).replace(".", ""))
    if fen < 1:
        raise refusal(code, f"参数无效：{name}")
    return fen


def well(answer: Mapping[str, object]) -> Response:
    """An answer with success."""
    return words({"code": "10000", "msg": "Success"} | dict(answer))
