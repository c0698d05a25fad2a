"""Alipay's open platform as far as the platform uses it: page and wap payments, queries, refunds, bills,
notifications.

Where it differs from the real one: the page address answers without a login; bills are there for the current day too
and only as `trade` and `signcustomer`; the channel's fee is not given back on a refund; and a trade can be paid after
its time or after it was closed, when somebody presses so.
"""

import argparse

from flask import Flask

from ..channel import add_options as add_options
from ..channel import channel_control
from ..standin import build
from .api import api
from .cashier import cashier
from .control import control
from .gateway import Gateway

SUMMARY = "Alipay's open platform with a cashier page"


def create_app(options: argparse.Namespace) -> Flask:
    """The web application on the book and the keys in `options.dir`."""
    return build(Gateway(options), api, cashier, control, channel_control)
