"""What every payment channel's stand-in has: a fee, notifications, settlements, and the controls of those."""

import argparse
import threading
from abc import abstractmethod
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from flask import Blueprint, request

from . import fields, merchant, outbox
from .fields import RefusalError
from .outbox import FITTING_FAULTS, Manner, Notifier
from .serving import log_line
from .standin import Standin, current
from .store import Store


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a channel beside --dir and --port."""
    parser.add_argument("--bank-url", default="", help="the stand-in bank that takes the settlements")
    parser.add_argument(
        "--fee-rate",
        type=Decimal,
        default=Decimal("0.006"),
        help="share of a payment, rounded half up to a fen",
    )
    parser.add_argument(
        "--retry-scale",
        type=float,
        default=0.01,
        help="how much of the real pause between notifications to wait",
    )
    parser.add_argument(
        "--auto-settle",
        type=float,
        default=0,
        metavar="SECONDS",
        help="settle this often by itself; 0 is never",
    )


class Channel(Standin):
    """Subclasses say who pays at the bank (`payer`), what is written there, and the manner of notifying."""

    payer: str
    remittance: str

    def __init__(self, options: argparse.Namespace, schema: Path) -> None:
        tables = schema.read_text() + merchant.SCHEMA + outbox.SCHEMA
        super().__init__(Store(options.dir / f"{self.name}.sqlite3", tables))
        self.fee_rate = options.fee_rate
        self._bank_url = options.bank_url.rstrip("/")
        self._auto_settle_seconds = options.auto_settle
        self._stopping = threading.Event()
        self.notifier = Notifier(self.store, self.manner(), self.faults, options.retry_scale)

    @abstractmethod
    def manner(self) -> Manner:
        """How it notifies."""

    def other_places(self) -> dict[str, frozenset[str]]:
        return {"notification": FITTING_FAULTS}

    def settle(self) -> list[dict[str, object]]:
        """The settlements that reached the bank now."""
        return merchant.settle(self.store, self._bank_url, payer=self.payer, remittance=self.remittance)

    def start(self) -> None:
        self.notifier.start()
        if self._auto_settle_seconds > 0:
            threading.Thread(target=self._settle_repeatedly, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self.notifier.stop()

    def _settle_repeatedly(self) -> None:
        while not self._stopping.wait(self._auto_settle_seconds):
            try:
                self.settle()
            except RefusalError as refusal:
                log_line(level="warning", message=refusal.message)


channel_control = Blueprint("channel_control", __name__, url_prefix="/control")


def _channel() -> Channel:
    return cast(Channel, current())


@channel_control.post("/notify")
def notify() -> dict[str, Any]:
    data = fields.json_body()
    times = fields.whole(data, "times", default=1)
    if times > 100:
        raise fields.bad_field("times", "最多 100")
    number, parallel = fields.text(data, "out_trade_no", ".+"), data.get("parallel") is True
    answers = _channel().notifier.resend(number, times, parallel=parallel)
    return {"answers": [{"status": one.status, "answer": one.text} for one in answers]}


@channel_control.get("/notifications")
def list_notifications() -> list[dict[str, Any]]:
    with _channel().store.transaction() as db:
        return outbox.listing(db, request.args.get("out_trade_no"))


@channel_control.post("/settle")
def settle() -> dict[str, Any]:
    return {"settlements": _channel().settle()}
