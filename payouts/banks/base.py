"""What a bank must be able to do. It takes and returns these values, and never touches a model."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol


class BankError(Exception):
    """A call that did not succeed.

    `refused`: the bank said no and did nothing, for sure; `unsent`: the call never reached the bank, for sure;
    `unknown`: no answer, or none that can be trusted: ask by the same number, never send again.
    """

    def __init__(self, outcome: Literal["refused", "unsent", "unknown"], code: str, message: str = "") -> None:
        super().__init__(f"{outcome}: {code} {message}".strip())
        self.outcome = outcome
        self.code = code


@dataclass(frozen=True)
class Transfer:
    """Money to send: our final number, fen, and to whom."""

    out_no: str
    fen: int
    holder: str
    account_number: str
    bank_code: str
    purpose: str


@dataclass(frozen=True)
class TransferReport:
    """What the bank says about a transfer."""

    out_no: str
    state: Literal["accepted", "succeeded", "failed", "returned"]
    bank_reference: str = ""
    completed_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Movement:
    """A row of the supervised account's statement; fen positive into the account."""

    serial: int
    booked_at: datetime
    fen: int
    counterparty: str
    remittance: str
    out_no: str
    bank_reference: str


class Bank(Protocol):
    """A way out for money."""

    code: str
    # How long a request can still be taken after it was signed. Once that is over, a bank that has never heard of an
    # out_no never will: only then may it be sent again. None: it can never be known.
    request_lives: timedelta | None

    def frozen(self, transfer: Transfer) -> bytes:
        """The exact content of the request; its hash is written down before the first call and never changes."""

    def submit(self, transfer: Transfer) -> TransferReport:
        """Hands a transfer in. Raises BankError."""

    def query(self, out_no: str) -> TransferReport | None:
        """What has become of a transfer; None when the bank does not know the number. Raises BankError."""

    def statement(self, after: int) -> list[Movement]:
        """The statement's rows behind a serial number, oldest first, a page at a time. Raises BankError."""
