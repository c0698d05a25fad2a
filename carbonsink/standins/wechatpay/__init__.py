"""WeChat Pay v3 as far as the platform uses it: Native, JSAPI and H5 orders, refunds, bills,
notifications, and the official account's OAuth."""

import argparse
from decimal import Decimal

from flask import Flask

from ..standin import build
from .api import api
from .cashier import cashier
from .control import control
from .gateway import Gateway
from .oauth import oauth

SUMMARY = "WeChat Pay v3 with a cashier page"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options this stand-in has beside --dir and --port."""
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


def create_app(options: argparse.Namespace) -> Flask:
    """The web application on the book and the keys in `options.dir`."""
    return build(Gateway(options), api, cashier, control, oauth)
