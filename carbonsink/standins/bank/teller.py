"""The running bank: its keys, its signatures, and nonces that are good for one request."""

import argparse
import threading
import time
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Response, request

from .. import keys, signing
from ..fields import RefusalError
from ..standin import Standin, current
from ..store import Store

# What may go wrong with the answers to files: written twice; the newest first; only "accepted" for now; the whole file
# refused and nothing done; refused as known though it was done; another amount told; a damaged file before the others.
EXCHANGE_FAULTS = frozenset({"twice", "reverse", "late", "refuse", "refuse_as_known", "other_amount", "garbage"})


class Teller(Standin):
    name = "bank"
    signed_prefix = "/v1"

    def __init__(self, options: argparse.Namespace) -> None:
        schema = Path(__file__).with_name("schema.sql").read_text()
        super().__init__(Store(options.dir / "bank.sqlite3", schema))
        self.complete_after = options.complete_after
        self.exchange_dir: Path | None = options.exchange
        self.exchange_every = options.exchange_every
        # Files are debited as a whole, and what could not be paid comes back: each, together; empty: one by one.
        self.whole_files = ""
        self._stopping = threading.Event()
        self._client_key = keys.load_ed25519_public(options.dir / keys.BANK_CLIENT_PUBLIC)
        self._own_key = keys.load_ed25519_private(options.dir / keys.BANK_KEY)
        self._strangers_key = Ed25519PrivateKey.generate()

    def start(self) -> None:
        if self.exchange_dir is not None and self.exchange_every > 0:
            threading.Thread(target=self._exchange_repeatedly, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def _exchange_repeatedly(self) -> None:
        from .exchange import exchange_files  # It imports this module.

        while not self._stopping.wait(self.exchange_every):
            exchange_files(self)

    def other_places(self) -> dict[str, frozenset[str]]:
        return {"exchange": EXCHANGE_FAULTS}

    def verify(self, sent: signing.Sent) -> None:
        now = time.time()
        try:
            nonce = signing.verify_bank_request(
                sent, request.headers, self._client_key, client=keys.BANK_CLIENT_ID, now=now
            )
        except signing.SignatureRefusedError as error:
            raise RefusalError(401, "SIGN_ERROR", str(error)) from error
        with self.store.transaction() as db:
            # A timestamp may lie ahead by the window, so a nonce can come again for twice as long.
            db.execute("DELETE FROM nonces WHERE seen_at < ?", (now - 2 * signing.WINDOW_SECONDS,))
            added = db.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?)", (nonce, now)).rowcount
        if not added:
            raise RefusalError(409, "REPLAYED", "This nonce was used before; sign each request anew.")

    def sign(self, response: Response, *, forged: bool = False) -> Response:
        key = self._strangers_key if forged else self._own_key
        nonce = request.headers.get("X-Bank-Nonce", "")
        body, now = response.get_data(), int(time.time())
        response.headers.update(
            signing.bank_response_headers(response.status_code, body, key, timestamp=now, request_nonce=nonce)
        )
        return response


def teller() -> Teller:
    """The bank that serves the current request."""
    return cast(Teller, current())
