"""The stand-in bank of the demo and the tests: signed JSON over HTTP (the protocol is in carbonsink.standins.bank)."""

import base64
import hashlib
import json
import re
import secrets
import time
from datetime import date, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings

from carbonsink import outside, pem
from payouts.banks.base import BankError, Instruction, Movement, Page, TransferReport

# Answers after which the bank has for sure done nothing with the number, and will not. A replay is none of them: it
# means that an earlier copy of this very request did arrive. Nor is a bad signature: who knows what altered it.
_REFUSALS = {"PARAM_ERROR", "ACCOUNT_NOT_YOURS", "INSUFFICIENT_FUNDS"}
# Why a transfer failed that is the payee's account's fault; the reason begins with the code.
_ACCOUNTS_FAULTS = {"ACCOUNT_CLOSED", "ACCOUNT_UNKNOWN", "NAME_MISMATCH"}
_UNFIT = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_STATES: dict[str, Literal["accepted", "succeeded", "failed", "returned"]] = {
    "accepted": "accepted",
    "succeeded": "succeeded",
    "failed": "failed",
    "returned": "returned",
}


def request_message(method: str, path: str, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What a request's signature covers; `path` with its query."""
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}\n".encode()


def answer_message(status: int, timestamp: str, nonce: str, body: bytes) -> bytes:
    """What an answer's signature covers; `nonce` is the request's."""
    return f"{status}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}\n".encode()


def _text(value: Any) -> str:
    """A statement's text as it can be stored: strangers write into it, and it may hold anything."""
    return _UNFIT.sub(" ", str(value or ""))


class StandinBank:
    """The adapter; its address, account and keys come from the settings STANDIN_BANK_*."""

    code = "standin"
    at_once = 1
    least_fen = 1
    # The bank refuses a request whose timestamp is 300 s old.
    request_lives: timedelta | None = timedelta(seconds=300)

    def frozen(self, instruction: Instruction) -> bytes:
        (transfer,) = instruction.transfers
        content = {
            "out_no": transfer.out_no,
            "fen": transfer.fen,
            "from_account": settings.STANDIN_BANK_ESCROW_ACCOUNT,
            "to_account": transfer.account_number,
            "to_name": transfer.holder,
            "to_bank_code": transfer.bank_code,
            "purpose": transfer.purpose,
        }
        return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    def submit(self, instruction: Instruction) -> list[TransferReport]:
        status, answer = self._call("POST", "/v1/transfers", self.frozen(instruction), at=instruction.at.timestamp())
        if status != 202:
            raise BankError("refused" if answer["code"] in _REFUSALS else "unknown", str(answer["code"]))
        return [self._report(instruction.transfers[0].out_no, answer)]

    def query(self, out_no: str) -> TransferReport | None:
        status, answer = self._call("GET", f"/v1/transfers/{out_no}")
        if status == 404 and answer["code"] == "NOT_FOUND":
            return None
        if status != 200:
            raise BankError("unknown", str(answer["code"]))
        return self._report(out_no, answer)

    def statement(self, after: str) -> Page:
        rows = self._rows(after=after or "0")
        return Page(tuple(rows), rows[-1].serial if rows else after)

    def day(self, day: date) -> list[Movement] | None:
        rows: list[Movement] = []
        while page := self._rows(date=day.isoformat(), after=rows[-1].serial if rows else "0"):
            rows += page
        return rows

    def closing_fen(self, day: date) -> int | None:
        query = urlencode({"account": settings.STANDIN_BANK_ESCROW_ACCOUNT, "date": day.isoformat()})
        status, answer = self._call("GET", f"/v1/balances?{query}")
        if status != 200:
            raise BankError("unknown", str(answer["code"]))
        return int(answer["fen"])

    def _rows(self, **where: str) -> list[Movement]:
        query = urlencode({"account": settings.STANDIN_BANK_ESCROW_ACCOUNT, "limit": 500, **where})
        status, answer = self._call("GET", f"/v1/statements?{query}")
        if status != 200:
            raise BankError("unknown", str(answer["code"]))
        return [self._movement(row) for row in answer["rows"]]

    @staticmethod
    def _report(out_no: str, answer: dict[str, Any]) -> TransferReport:
        if answer.get("out_no") != out_no or answer.get("status") not in _STATES:
            raise BankError("unknown", "BAD_ANSWER", "not about this transfer")
        done, reason = answer.get("completed_at"), str(answer.get("reason") or "")
        return TransferReport(
            out_no=out_no,
            state=_STATES[answer["status"]],
            bank_reference=str(answer.get("bank_reference") or ""),
            completed_at=datetime.fromisoformat(done) if done else None,
            reason=reason,
            account_at_fault=reason.partition(" ")[0] in _ACCOUNTS_FAULTS,
        )

    @staticmethod
    def _movement(row: dict[str, Any]) -> Movement:
        return Movement(
            serial=str(int(row["serial"])),
            booked_at=datetime.fromisoformat(row["booked_at"]),
            fen=int(row["fen"]) if row["direction"] == "credit" else -int(row["fen"]),
            counterparty=_text(row["counterparty_name"]),
            remittance=_text(row["remittance"]),
            out_no=str(row["out_no"] or ""),
            bank_reference=_text(row["bank_reference"]),
            is_fee=row["fee"] is True,
        )

    def _call(
        self, method: str, path: str, body: bytes = b"", *, at: float | None = None
    ) -> tuple[int, dict[str, Any]]:
        """One call, signed as of `at`, or now; status and verified content of the answer. Raises BankError when there
        is none."""
        timestamp, nonce = str(int(time.time() if at is None else at)), secrets.token_hex(16)
        key = pem.private_key(settings.STANDIN_BANK_CLIENT_KEY_FILE, Ed25519PrivateKey)
        signature = key.sign(request_message(method, path, timestamp, nonce, body))
        headers = {
            "Content-Type": "application/json",
            "X-Bank-Client": settings.STANDIN_BANK_CLIENT_ID,
            "X-Bank-Timestamp": timestamp,
            "X-Bank-Nonce": nonce,
            "X-Bank-Signature": base64.b64encode(signature).decode(),
        }
        try:
            url, patience = settings.STANDIN_BANK_URL + path, settings.OUTSIDE_TIMEOUT_SECONDS
            answer = outside.client().request(method, url, content=body, headers=headers, timeout=patience)
        except httpx.ConnectError as error:
            raise BankError("unsent", "NO_CONNECTION") from error
        except httpx.HTTPError as error:
            raise BankError("unknown", "NO_ANSWER", type(error).__name__) from error
        return answer.status_code, self._verified(answer, nonce)

    @staticmethod
    def _verified(answer: httpx.Response, nonce: str) -> dict[str, Any]:
        timestamp = answer.headers.get("X-Bank-Timestamp", "")
        try:
            pem.public_key(settings.STANDIN_BANK_PUBLIC_KEY_FILE, Ed25519PublicKey).verify(
                base64.b64decode(answer.headers.get("X-Bank-Signature", ""), validate=True),
                answer_message(answer.status_code, timestamp, nonce, answer.content),
            )
            content = json.loads(answer.content)
        except (InvalidSignature, ValueError) as error:
            raise BankError("unknown", "UNVERIFIABLE", f"HTTP {answer.status_code}") from error
        if not isinstance(content, dict) or (answer.status_code >= 400 and "code" not in content):
            raise BankError("unknown", "BAD_ANSWER")
        return content
