"""WeChat Pay v3 as far as the platform uses it: Native, JSAPI and H5 orders, refunds, bills,
notifications, and the official account's OAuth."""

import argparse

from flask import Flask

from ..channel import add_options as add_options
from ..channel import channel_control
from ..standin import build
from .api import api
from .cashier import cashier
from .control import control
from .gateway import Gateway
from .oauth import oauth

SUMMARY = "WeChat Pay v3 with a cashier page"


def create_app(options: argparse.Namespace) -> Flask:
    """The web application on the book and the keys in `options.dir`."""
    return build(Gateway(options), api, cashier, control, channel_control, oauth)
