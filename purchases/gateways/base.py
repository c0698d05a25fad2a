"""What a gateway must be able to do. It takes and returns these values, and never touches a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol


class GatewayError(Exception):
    """A call that did not succeed.

    `refused`: the gateway said no, for sure nothing happened. `unknown`: no answer, or none that can be trusted:
    perhaps it happened, perhaps not; ask again by the same reference.
    """

    def __init__(self, outcome: Literal["refused", "unknown"], code: str, message: str = "") -> None:
        super().__init__(f"{outcome}: {code} {message}".strip())
        self.outcome = outcome
        self.code = code


class NotificationRefused(Exception):
    """A callback that is not authentic, not fresh or not for us. Nothing of it may be used."""


@dataclass(frozen=True)
class PaymentRequest:
    """What the buyer shall pay: our reference, fen, a description, until when, and by which of the gateway's products.

    `return_url` is where the buyer's browser goes afterwards; `payer` is how the gateway knows the buyer inside its own
    app (WeChat: openid); `payer_address` is the buyer's network address, which some products ask for.
    """

    reference: str
    fen: int
    description: str
    expires_at: datetime
    notify_url: str
    product: str = "native"
    return_url: str = ""
    payer: str = ""
    payer_address: str = ""


@dataclass(frozen=True)
class Checkout:
    """How the buyer goes on: by an address, which is scanned or opened, or by a prepayment that a bridge asks for."""

    url: str = ""
    prepay_id: str = ""


@dataclass(frozen=True)
class PaymentReport:
    """What the gateway says about a payment."""

    reference: str
    state: Literal["pending", "captured", "refunded", "closed", "failed"]
    transaction_id: str = ""
    fen: int = 0
    captured_at: datetime | None = None


@dataclass(frozen=True)
class NotificationReport:
    """An authentic callback: its event id, and what it says of a payment (None: nothing for us to do)."""

    event_id: str
    payment: PaymentReport | None


@dataclass(frozen=True)
class RefundRequest:
    """Money to send back: our final refund number, and the capture it belongs to."""

    number: str
    transaction_id: str
    fen: int
    captured_fen: int
    reason: str


@dataclass(frozen=True)
class RefundReport:
    """What the gateway says about a refund."""

    number: str
    state: Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True)
class BillLine:
    """A capture or a refund on a gateway's daily bill. `number` is our refund number, empty for a capture."""

    kind: Literal["capture", "refund"]
    reference: str
    transaction_id: str
    fen: int
    number: str = ""


@dataclass(frozen=True)
class DayBill:
    """A gateway's bill of one day: the SHA-256 (hex) of what was downloaded, and its lines."""

    sha256: str
    lines: list[BillLine]


@dataclass(frozen=True)
class Fee:
    """A fee the channel kept: its own unique number, fen, the day."""

    number: str
    fen: int


@dataclass(frozen=True)
class Funds:
    """What moved on our account with a gateway on a day: its fees, what it sent to the bank (fen each, oldest first),
    how many movements there were, and what it held after them; None when there were none, or when its balances do not
    follow from them."""

    fees: list[Fee]
    withdrawn: list[int]
    moves: int
    closing_fen: int | None


class Gateway(Protocol):
    """A way in for money."""

    code: str
    # The products it offers, such as "native" or "wap".
    products: tuple[str, ...]
    # What is answered to a callback: content type, words for one that was taken and for one that was refused.
    answer_type: str
    accepted: str
    refused: str

    def create(self, request: PaymentRequest) -> Checkout:
        """Opens a payment and says how the buyer goes on. The same request again opens no second payment."""

    def query(self, reference: str) -> PaymentReport:
        """What has become of a payment."""

    def close(self, reference: str) -> None:
        """Ends an unpaid payment. GatewayError("refused", "ORDERPAID") when it was paid meanwhile."""

    def read_notification(self, headers: Mapping[str, str], body: bytes, now: datetime) -> NotificationReport:
        """Checks a callback: signature, age, merchant, app, currency. Raises NotificationRefused."""

    def refund(self, request: RefundRequest) -> RefundReport:
        """Sends money back. The same number again: the same refund."""

    def query_refund(self, number: str, transaction_id: str = "") -> RefundReport:
        """What has become of a refund of a capture. GatewayError("refused", "RESOURCE_NOT_EXISTS") when it never
        arrived."""

    def funds(self, day: date) -> Funds:
        """What moved on our account on a day, from the bill of it. GatewayError as with `bill`."""

    def bill(self, day: date) -> DayBill:
        """The captures and refunds of a day. GatewayError("unknown") when the bill does not come, is not what was
        announced, or its totals are not those of its lines. A day without any: no hash and no lines."""
