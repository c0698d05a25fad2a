"""What the office reads in place of codes: the banks and payment services by name, and why a rule did something."""

import re

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_CHANNELS: dict[str, Promise] = {
    "wechatpay": _("WeChat Pay"),
    "alipay": _("Alipay"),
    "transfer": _("Bank transfer"),
    "standin": _("stand-in bank"),
    "pain001": _("files of ISO 20022 (pain.001)"),
    "daifa": _("bulk payments (CSV)"),
}
# As they are written where the rule is; what a person wrote stands in none of these and is shown as it is.
_RULES: dict[str, Promise] = {
    "within the limits": _("within the limits"),
    "waits for two people": _("waits for two people"),
    "the account has changed": _("the account has changed"),
    "never reached the bank": _("never reached the bank"),
    "the bank does not know it": _("the bank does not know it"),
    "the household says that it arrived": _("the household says that it arrived"),
    "stopped by the household on its page": _("stopped by the household on its page"),
    "well again": _("well again"),
    "settled meanwhile": _("settled meanwhile"),
    "published": _("published"),
    "answered": _("answered"),
    "nothing is unexplained any more": _("nothing is unexplained any more"),
    "finance": _("by finance"),
}


def channel_name(code: str) -> str:
    """The bank or payment service with this code; the code itself for one that has no words here."""
    return str(_CHANNELS.get(code, code))


def thing_name(about: str) -> str:
    """What something is about, its bank or payment service by name: "alipay:2026-11-22" → "Alipay · 2026-11-22"."""
    code, *rest = re.split("[: ]", about, maxsplit=1)
    return " · ".join([channel_name(code), *rest])


def said_by_rule(reason: str) -> str:
    """The reason of a rule in the visitor's language, a person's own words as they are."""
    return str(_RULES.get(reason, reason))
