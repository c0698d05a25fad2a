"""A browser without a screen: signs in, sends forms and API calls to the running platform over HTTP."""

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
PATIENCE_SECONDS = 60.0


class WalkError(Exception):
    """The way ends here; the message says where and why."""


def wait_for(what: str, look: Callable[[], T | None]) -> T:
    """Looks again and again until there is something, for at most a minute."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise WalkError(f"{what} did not come within {PATIENCE_SECONDS:.0f} seconds.")


def outside(method: str, url: str, **how: Any) -> httpx.Response:
    """A call of a stand-in's cashier or control address; WalkError when it is not answered well."""
    try:
        answer = httpx.request(method, url, trust_env=False, timeout=30, follow_redirects=True, **how)
        return answer.raise_for_status()
    except httpx.HTTPError as error:
        raise WalkError(f"{method} {url}: {error}") from error


class Client:
    """One person's session with the platform."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, trust_env=False, timeout=30, follow_redirects=True)

    def get(self, path: str) -> str:
        """A page's HTML."""
        return self._checked(self.http.get(path)).text

    def sign_in(self, identifier: str, password: str) -> "Client":
        """Signs in by the form."""
        page = self.get("/sign-in/")
        data = {"csrfmiddlewaretoken": self._match(page), "username": identifier, "password": password}
        self._checked(self.http.post("/sign-in/", data=data, headers={"Referer": str(self.http.base_url)}))
        if "sessionid" not in self.http.cookies:
            raise WalkError(f"{identifier} could not sign in.")
        return self

    def send_form(self, path: str, data: dict[str, str]) -> httpx.Response:
        """Loads a page and sends its form back with its hidden fields and these values."""
        page = self.get(path)
        hidden = dict(_HIDDEN.findall(page))
        return self._checked(self.http.post(path, data={**hidden, **data}))

    def call(self, method: str, path: str, **how: Any) -> Any:
        """An API call; its JSON."""
        headers = {"X-CSRFToken": self.http.cookies.get("csrftoken", ""), **how.pop("headers", {})}
        return self._checked(self.http.request(method, f"/api/v1{path}", headers=headers, **how)).json()

    @staticmethod
    def _match(page: str) -> str:
        found = _TOKEN.search(page)
        if not found:
            raise WalkError("The page has no form.")
        return found[1]

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 400:
            said = re.search(r'role="alert"[^>]*>(.*?)</', answer.text, re.S)
            text = said[1].strip() if said else answer.text[:300]
            raise WalkError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {text}")
        return answer
