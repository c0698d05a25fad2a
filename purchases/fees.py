"""Fees that channels keep back. They are the sponsor's expense and never taken from a household."""

from collections.abc import Iterable
from datetime import date

from django.db import transaction

from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from purchases.gateways import gateway
from purchases.gateways.base import Fee


def reference(code: str, fee: Fee) -> str:
    """The reference of a fee's entry in the ledger."""
    return f"fee:{code}:{fee.number}"


def book_fees(code: str, day: date) -> int:
    """Books the fees of a gateway's bill of one day, each once; returns how many were new. May be run again."""
    return book(code, gateway(code).funds(day).fees)


def book(code: str, fees: Iterable[Fee]) -> int:
    """Books fees that a gateway has told, each once; returns how many were new. May be run again."""
    booked = 0
    for fee in fees:
        if not fee.fen:
            continue
        try:
            with transaction.atomic():
                ledger.post(
                    reference(code, fee),
                    "fee",
                    {
                        ledger.account(Account.Kind.FEES): fee.fen,
                        ledger.account(Account.Kind.GATEWAY, code): -fee.fen,
                    },
                )
        except ledger.AlreadyPosted:
            continue
        booked += 1
    return booked
