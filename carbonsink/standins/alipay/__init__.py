"""Alipay's open platform as far as the platform uses it: page and wap payments, queries, refunds, bills,
notifications; and, for another app in certificate mode, transfers to bank cards and the log of the account they leave.

Where it differs from the real one: the page address answers without a login; bills are there for the current day too
and only as `trade` and `signcustomer`; the channel's fee is not given back on a refund; and a trade can be paid after
its time or after it was closed, when somebody presses so. A transfer's money leaves when it is taken; its app may not
put biz_content in the address, which the real one allows.
"""

import argparse
from decimal import Decimal

from flask import Flask

from .. import channel
from ..channel import channel_control
from ..standin import build
from .api import api
from .cashier import cashier
from .control import control
from .gateway import Gateway
from .transfer_control import transfer_control

SUMMARY = "Alipay's open platform with a cashier page"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a channel, and those of transfers."""
    channel.add_options(parser)
    parser.add_argument(
        "--complete-after",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="how long a transfer to a bank card is being dealt with; 0 completes it within the request",
    )
    parser.add_argument(
        "--transfer-fee-rate", type=Decimal, default=Decimal(0), help="share of a transfer, rounded half up to a fen"
    )


def create_app(options: argparse.Namespace) -> Flask:
    """The web application on the book and the keys in `options.dir`."""
    return build(Gateway(options), api, cashier, control, transfer_control, channel_control)
