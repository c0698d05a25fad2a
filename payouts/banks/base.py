"""What a bank must be able to do. It takes and returns these values, and never touches a model."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

# Our numbers of files, wherever they stand in a text: see `batches`.
FILE_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{14}[0-9a-f]{12}(?![0-9A-Za-z])")


class BankError(Exception):
    """A call that did not succeed.

    `refused`: the bank said no and did nothing, for sure; `unsent`: the call never reached the bank, for sure;
    `unknown`: no answer, or none that can be trusted: ask by the same number, never send again.
    """

    def __init__(
        self,
        outcome: Literal["refused", "unsent", "unknown"],
        code: str,
        message: str = "",
        *,
        account_at_fault: bool = False,
    ) -> None:
        super().__init__(f"{outcome}: {code} {message}".strip())
        self.outcome = outcome
        self.code = code
        # A refusal because of the payee's account: closed, unknown, of another name.
        self.account_at_fault = account_at_fault


@dataclass(frozen=True)
class Transfer:
    """Money to send: our final number, fen, and to whom."""

    out_no: str
    fen: int
    holder: str
    account_number: str
    bank_code: str
    purpose: str
    bank_name: str = ""


@dataclass(frozen=True)
class Instruction:
    """Transfers that are handed to a bank together, under a final number of 32 alphanumerics at most. `at`: when that
    was decided; a call is signed as of this moment and no later, so that `request_lives` counts from the attempt."""

    number: str
    at: datetime
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True)
class TransferReport:
    """What the bank says about a transfer."""

    out_no: str
    state: Literal["accepted", "succeeded", "failed", "returned"]
    bank_reference: str = ""
    completed_at: datetime | None = None
    reason: str = ""
    # It failed because of the payee's account: closed, unknown, of another name. The next one needs a new account.
    account_at_fault: bool = False
    # What the bank says it was to pay; None where it does not say. Another amount than ours is believed in nothing.
    fen: int | None = None


@dataclass(frozen=True)
class Movement:
    """A row of the supervised account's statement; fen positive into the account. `serial` is the bank's own and
    never used twice; `out_no` the number of ours that it names, of a transfer or of a whole file."""

    serial: str
    booked_at: datetime
    fen: int
    counterparty: str
    remittance: str
    out_no: str
    bank_reference: str
    # What the bank charges for its service: the sponsor's expense.
    is_fee: bool = False


@dataclass(frozen=True)
class BatchReport:
    """What the bank says about a file of ours as a whole. `payouts` and `fen`: how many it found in it and how much;
    None where it does not say."""

    number: str
    # Empty: nothing of the whole; duplicate: the bank had it before, which is no answer to ours. Settled is believed no
    # more than accepted: of each of thousands it must be said by itself.
    state: Literal["", "accepted", "settled", "refused", "duplicate"]
    reason: str = ""
    payouts: int | None = None
    fen: int | None = None


@dataclass(frozen=True)
class ReportFile:
    """A file from the bank as it was read; `trouble` says why nothing could be read of it."""

    name: str
    content: bytes
    kind: str = ""
    batches: tuple[BatchReport, ...] = ()
    # Transfers of which the bank says that it had them before: no answer to ours.
    doubled: tuple[str, ...] = ()
    # Rows that name no number of ours at all, as they stand there.
    nameless: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True)
class Balance:
    """What a statement that comes as a file says was on the account when its first day began (fen; None: it does not
    say), and when its last day ended."""

    first_day: date
    day: date
    opening_fen: int | None
    closing_fen: int


@dataclass(frozen=True)
class Page:
    """A part of what the bank says by itself: rows of the statement, oldest first, and what became of transfers.
    `after` goes into the next question once all of it is booked; the page is the last one when it stays the same."""

    movements: tuple[Movement, ...]
    after: str
    reports: tuple[TransferReport, ...] = ()
    file: ReportFile | None = None
    balances: tuple[Balance, ...] = ()


class Bank(Protocol):
    """A way out for money."""

    code: str
    # How many transfers it takes at once: 1 where each is a call, thousands where it takes files.
    at_once: int
    # The least that it transfers, in fen.
    least_fen: int
    # How long a request can still be taken after it was signed. Once that is over, a bank that has never heard of an
    # out_no never will: only then may it be sent again. None: it can never be known.
    request_lives: timedelta | None

    def frozen(self, instruction: Instruction) -> bytes:
        """The exact content of the request; its hash is written down before the first call and never changes."""

    def submit(self, instruction: Instruction) -> list[TransferReport]:
        """Hands the transfers in, and returns what the bank says of them at once. Raises BankError, of all of them."""

    def query(self, out_no: str) -> TransferReport | None:
        """What has become of a transfer; None when the bank does not know the number. Raises BankError."""

    def statement(self, after: str) -> Page:
        """The next page behind `after` ("" at the very beginning). Raises BankError."""

    def day(self, day: date) -> list[Movement] | None:
        """All rows of a day that is over, for reconciliation; None where the bank cannot be asked. Raises BankError."""


class FileBank(Bank, Protocol):
    """A bank that is handed files (`at_once` > 1) and answers with files. Nobody can ask it: `submit` and `query` do
    nothing, and what it was given is never given again."""

    # Where its files are laid, and where its answers lie; empty where a person carries them.
    out_dir: str
    in_dir: str

    def file_name(self, number: str) -> str:
        """The name of the file with this number."""

    def unfit(self, transfer: Transfer) -> str:
        """Why a transfer cannot stand in a file of this bank, in a sentence; empty when it can."""

    def read(self, name: str, content: bytes) -> Page:
        """What stands in a file from the bank. DomainError when it cannot be read as a whole."""


@runtime_checkable
class TellsBalance(Protocol):
    """A bank that can also be asked for the balance of a day that is over."""

    def closing_fen(self, day: date) -> int | None:
        """Fen on the supervised account at the end of the day; None when the bank does not say. Raises BankError."""
