"""What every stand-in has: signed endpoints with faults, /health, and /control for whoever runs the test."""

import functools
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from flask import Blueprint, Flask, Response, current_app, jsonify, make_response, request
from werkzeug.exceptions import HTTPException

from . import fields
from .faults import FAULTS, LONGEST_HOLD_SECONDS, Call, FaultBoard, Switched
from .fields import RefusalError
from .signing import Sent
from .store import Store

P = ParamSpec("P")
STATIC = Path(__file__).with_name("static")


class Standin(ABC):
    """One gateway or bank: its book and its faults. Subclasses say how requests and answers are signed."""

    name: str
    signed_prefix: str

    def __init__(self, store: Store) -> None:
        self.store = store
        self.faults = FaultBoard()
        self.base_url = ""

    @abstractmethod
    def verify(self, sent: Sent) -> None:
        """Raise RefusalError unless the current request is properly signed."""

    @abstractmethod
    def sign(self, response: Response, *, forged: bool = False) -> Response:
        """Put our signature on the answer, or with `forged` one made with a stranger's key."""

    def start(self) -> None:  # noqa: B027
        """Begin background work; the address in `base_url` is known by now."""

    def stop(self) -> None:  # noqa: B027
        """End background work."""

    def other_places(self) -> dict[str, frozenset[str]]:
        """Places beside the signed endpoints where faults can be switched on, with the faults that fit."""
        return {}

    def refused(self, refusal: RefusalError) -> Response:
        """How a refusal is said."""
        return make_response(jsonify(refusal.body()), refusal.status)

    def failure(self) -> Response:
        return make_response(jsonify(code="SYSTEM_ERROR", message="系统错误"), 500)


def current() -> Standin:
    standin = current_app.extensions["standin"]
    assert isinstance(standin, Standin)
    return standin


def endpoint(place: str, *, signed: bool = True) -> Callable[[Callable[P, Any]], Callable[P, Response]]:
    """A signed endpoint: the signature is checked, a switched fault has its way, the answer is signed.

    Where the protocol itself signs nothing (`signed=False`), only the faults remain.
    """

    def decorate(view: Callable[P, Any]) -> Callable[P, Response]:
        @functools.wraps(view)
        def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
            standin = current()
            sign = standin.sign if signed else _unsigned
            try:
                if signed:
                    standin.verify(sent_request())
            except RefusalError as refusal:
                return sign(standin.refused(refusal))

            def work() -> Response:
                try:
                    return make_response(view(*args, **kwargs))
                except RefusalError as refusal:
                    return standin.refused(refusal)

            switched = standin.faults.take(place)
            if switched is None:
                return sign(work())
            connection = request.environ["werkzeug.socket"]
            call = Call(work, sign, standin.failure, connection, switched.hold_seconds)
            return FAULTS[switched.fault](call)

        answer.place = place  # type: ignore[attr-defined]
        answer.fitting = frozenset(FAULTS) - (set() if signed else {"bad_signature"})  # type: ignore[attr-defined]
        return answer

    return decorate


def sent_request() -> Sent:
    return Sent(request.method, request.environ["REQUEST_URI"], request.get_data())


def _unsigned(response: Response, *, forged: bool = False) -> Response:
    return response


def _refused(refusal: RefusalError) -> Response:
    return make_response(jsonify(refusal.body()), refusal.status)


def build(standin: Standin, *blueprints: Blueprint) -> Flask:
    """The stand-in's web application."""
    app = Flask(f"{__package__}.{standin.name}", static_folder=str(STATIC), template_folder="templates")
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.extensions["standin"] = standin
    for blueprint in (*blueprints, shared):
        app.register_blueprint(blueprint)
    app.before_request(_control_only_from_here)
    app.register_error_handler(RefusalError, _refused)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _control_only_from_here() -> Response | None:
    address = ipaddress.ip_address(request.remote_addr or "0.0.0.0")  # noqa: S104
    if request.path.startswith("/control") and not address.is_loopback:
        return make_response(jsonify(code="FORBIDDEN", message="/control answers this machine only."), 403)
    return None


def _http_error(error: HTTPException) -> Response:
    standin = current()
    if (error.code or 500) >= 500:
        response = standin.failure()
    else:
        code = (error.name or "ERROR").upper().replace(" ", "_")
        response = make_response(jsonify(code=code, message=error.description), error.code or 400)
    return standin.sign(response) if request.path.startswith(standin.signed_prefix) else response


shared = Blueprint("shared", __name__)


@shared.get("/health")
def health() -> Response:
    return jsonify(standin=current().name, status="ok")


@shared.get("/control/faults")
def list_faults() -> Response:
    places = {place: sorted(names) for place, names in _places().items()}
    return jsonify(faults=current().faults.listing(), places=places)


@shared.post("/control/faults")
def switch_fault() -> Response:
    data = fields.json_body()
    where, name = fields.text(data, "where", ".+"), fields.text(data, "fault", ".+")
    if name not in _places().get(where, frozenset()):
        message = f"No fault {name!r} at {where!r}; GET /control/faults lists what there is."
        raise RefusalError(400, "UNKNOWN_FAULT", message)
    hold = data.get("hold_seconds", 0)
    if isinstance(hold, bool) or not isinstance(hold, int | float) or not 0 <= hold <= LONGEST_HOLD_SECONDS:
        raise fields.bad_field("hold_seconds", f"应为 0 到 {LONGEST_HOLD_SECONDS} 的数")
    times = None if data.get("times") is None else fields.whole(data, "times")
    current().faults.switch_on(Switched(where, name, times, hold))
    return list_faults()


@shared.delete("/control/faults")
def clear_faults() -> Response:
    current().faults.clear()
    return list_faults()


def _places() -> dict[str, frozenset[str]]:
    views = current_app.view_functions.values()
    signed = {view.place: frozenset(getattr(view, "fitting", ())) for view in views if hasattr(view, "place")}
    return signed | current().other_places()
