"""Reading JSON bodies: a field is as it should be, or the request is refused with the field's name."""

import json
import re
from typing import Any

from flask import request


class RefusalError(Exception):
    """The request is answered with this status, code and message, and nothing of it is done."""

    def __init__(self, status: int, code: str, message: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.detail = status, code, message, detail

    def body(self) -> dict[str, Any]:
        answer: dict[str, Any] = {"code": self.code, "message": self.message}
        return answer | {"detail": self.detail} if self.detail else answer


def bad_field(name: str, issue: str, location: str = "body") -> RefusalError:
    """PARAM_ERROR in the shape WeChat Pay gives it."""
    field = "/" + name.replace(".", "/")
    detail = {"field": field, "issue": issue, "location": location}
    return RefusalError(400, "PARAM_ERROR", f"参数错误：{field} {issue}", detail)


def json_body() -> dict[str, Any]:
    """The request's body, which must be a JSON object."""
    try:
        data = json.loads(request.get_data() or b"{}")
    except ValueError:
        raise bad_field("", "不是合法的 JSON") from None
    if not isinstance(data, dict):
        raise bad_field("", "应为 JSON 对象")
    return data


def text(data: dict[str, Any], name: str, pattern: str, default: str | None = None) -> str:
    """A string that matches the whole pattern; without a default it must be there."""
    value = _value(data, name, default)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise bad_field(name, "缺失或格式不符合规则")
    return value


def whole(data: dict[str, Any], name: str, default: int | None = None, least: int = 1) -> int:
    """A whole number of at least `least` and below 10^15, so that sums stay exact everywhere."""
    value = _value(data, name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 10**15:
        raise bad_field(name, f"应为不小于 {least} 的整数")
    return value


def _value(data: dict[str, Any], name: str, default: object) -> object:
    value: object = data
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return default if value is None else value
