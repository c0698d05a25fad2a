"""Signed links that open what belongs to a contact: who receives one at that address has shown that it is theirs."""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from purchases.models import Buyer

_SALT = "purchases.my-trees"
# A link that was asked for is used at once; the one in a receipt is looked for next year.
ASKED = timedelta(days=1)
IN_A_RECEIPT = timedelta(days=400)


def absolute(path: str) -> str:
    """The public address of a path of this site."""
    return settings.PUBLIC_BASE_URL + path


def page(name: str, *args: str | int) -> str:
    """The public address of one of the market's pages."""
    return absolute(reverse(f"purchases:{name}", args=args))


def my_trees_link(buyer: Buyer, valid_for: timedelta = IN_A_RECEIPT) -> str:
    """The address that opens all trees of the buyer's contact. It names the buyer's row, nothing personal."""
    until = int((timezone.now() + valid_for).timestamp())
    return page("portfolio-enter", signing.dumps([buyer.pk, until], salt=_SALT))


def read_link(signed: str) -> Buyer | None:
    """The buyer whom a link was made for; None when it is not ours, or its time is over."""
    try:
        pk, until = signing.loads(signed, salt=_SALT)
    except signing.BadSignature:
        return None
    if until <= timezone.now().timestamp():
        return None
    return Buyer.objects.filter(pk=pk).first()
