"""How a certificate stands, as anyone may see it: in one word, and what has come after it."""

from dataclasses import dataclass

from django.db.models import QuerySet

from purchases import replacements
from purchases.models import Certificate, Order, SinkRelease

# The one word, in Chinese and in English: it stands in both languages on pages and drawings.
WORDS = {
    "valid": ("有效", "Valid"),
    "retired": ("已注销", "Retired"),
    "transferred": ("已转让", "Transferred"),
    "replaced": ("已更换", "Replaced"),
    "refunded": ("已退款", "Refunded"),
    "revoked": ("已撤销", "Revoked"),
    "forged": ("不可信", "Not genuine"),
}


@dataclass(frozen=True)
class Successor:
    """A certificate that came after another one; without a token where its address is somebody else's secret."""

    serial: str
    trees: int
    words: tuple[str, str]
    token: str


def standing(certificate: Certificate) -> str:
    """How it stands, one of `WORDS`. Whether its signature fits is not looked at."""
    if certificate.state == Certificate.State.REVOKED and certificate.order.state == Order.State.REFUNDED:
        return "refunded"
    return certificate.state


def successors(certificate: Certificate) -> list[Successor]:
    """What has come after an ended certificate. Who knows its address is led on to what its owner still has, never to
    what somebody else was given."""
    found = certificate.successors.select_related("order").order_by("pk")
    return [
        Successor(
            serial=one.serial,
            trees=one.trees,
            words=WORDS[standing(one)],
            token=one.token if one.owner_id == certificate.owner_id else "",
        )
        for one in found
    ]


def is_the_buyers(certificate: Certificate) -> bool:
    """Whether it belongs to who bought the trees: then its page shows where the order's money is."""
    return certificate.owner_id == certificate.order.buyer_id


def told(certificate: Certificate) -> QuerySet[SinkRelease]:
    """What became of lost trees: all of the order's for its buyer, else those whose stand-in is under the
    certificate."""
    releases = replacements.told(certificate.order)
    if is_the_buyers(certificate):
        return releases
    return releases.filter(sink__replaced_by__new_sink__certificate=certificate)
