"""A bank with a small signed protocol: transfers out of a supervised escrow account, and its statement.

Every request under /v1 bears `X-Bank-Client`, `X-Bank-Timestamp` (seconds since 1970, less than 300 s off),
`X-Bank-Nonce` (16 to 64 characters, used once) and `X-Bank-Signature`: Ed25519, base64, over
`METHOD\\nPATH?QUERY\\nTIMESTAMP\\nNONCE\\nSHA256HEX(BODY)\\n`. Every answer bears `X-Bank-Timestamp` and
`X-Bank-Signature` over `STATUS\\nTIMESTAMP\\nNONCE OF THE REQUEST\\nSHA256HEX(BODY)\\n`. Errors are
`{"code", "message"}`; 401 SIGN_ERROR and 409 REPLAYED mean that nothing was looked at.

POST /v1/transfers `{"out_no", "fen", "from_account", "to_account", "to_name", "to_bank_code", "purpose"}`
answers 202 `{"out_no", "status", "bank_reference"}`. The same body again gets the same answer, byte for
byte, and moves nothing; another body under the same number gets 409 OUT_NO_USED. 400 PARAM_ERROR, 403
ACCOUNT_NOT_YOURS and 422 INSUFFICIENT_FUNDS mean that nothing was done and the number is still free.
Accepted money is held back at once and leaves the account when the transfer completes; only then is there a
row on the statement.

GET /v1/transfers/OUT_NO answers `status` accepted, succeeded, failed or returned, with `fen`,
`bank_reference`, `completed_at`, `returned_at` and `reason`; 404 NOT_FOUND says the bank has never taken
that number.

GET /v1/statements?account=&date=&after=&limit= answers `{"rows", "next_after"}` in the order of serials;
`next_after` is null on the last page. A return (退票) is a credit that bears the transfer's `out_no`; `fee` says that
the bank charged a row for its service.

GET /v1/balances?account=&date= answers `{"account", "date", "fen"}`: the balance when that day ended.

With `--exchange DIR` it is a front-end machine 前置机 too: it takes pain.001.001.09 (`*.xml`) and bulk payments 代发
(`*.csv`) from `DIR/out`, lays them into `DIR/taken`, and writes pain.002 or result files and camt.053 into `DIR/in`
(`bank/exchange.py`); the transfers are in the same book.
"""

import argparse
from pathlib import Path

from flask import Flask

from ..standin import build
from .api import api
from .collection import collection
from .control import control
from .exchange import exchange
from .teller import Teller

SUMMARY = "a bank with a supervised escrow account"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options this stand-in has beside --dir and --port."""
    parser.add_argument(
        "--complete-after",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="how long a transfer stays accepted; 0 completes it within the request",
    )
    parser.add_argument("--exchange", type=Path, metavar="DIR", help="folder to exchange files in")
    parser.add_argument(
        "--exchange-every",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="how often to look there; 0: only on POST /control/exchange",
    )


def create_app(options: argparse.Namespace) -> Flask:
    """The web application on the book and the keys in `options.dir`."""
    return build(Teller(options), api, control, collection, exchange)
