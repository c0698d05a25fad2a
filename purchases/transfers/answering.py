"""What a person says about a transfer that waits: it belongs to an order, with others or alone, or it goes back."""

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from carbonsink import money
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases.models import Order, Payment, Transfer
from purchases.models.payments import new_reference
from purchases.transfers import matching


def belongs_to(transfers: Sequence[Transfer], order: Order, *, by: User, reason: str) -> Payment:
    """Has waiting transfers pay an order: together its total, or more, of which the rest goes back.

    Raises DomainError: "not_enough", "not_payable" (paid already, or its trees are gone), "no_reason", "wrong_state".
    """
    _check_reason(reason)
    fen = sum(one.fen for one in transfers)
    if fen < order.total_fen:
        message = _("These transfers are ¥%(sum)s together, the order is ¥%(total)s. Choose what else belongs to it.")
        raise DomainError(
            "not_enough", message % {"sum": money.yuan(fen), "total": money.yuan(order.total_fen)}, status=409
        )
    if any(sum(one.fen for one in transfers) - one.fen >= order.total_fen for one in transfers):
        raise DomainError("too_many", _("The order is paid without one of these transfers. Leave it out."), status=409)
    try:
        return matching.pay(order, transfers, by=by, reason=reason)
    except matching.NotTaken as error:
        raise DomainError(
            "not_payable",
            _("This order is paid already, or its trees are gone. Send it back, or have the buyer order anew."),
            status=409,
        ) from error


@transaction.atomic
def send_back(transfer: Transfer, *, by: User, reason: str) -> Transfer:
    """Has a waiting transfer go back as it came: somebody sends it at the bank, with its number in the remittance."""
    _check_reason(reason)
    move(transfer, Transfer.State.GOING_BACK, by=by, reason=reason, back_number=new_reference())
    refunds = ledger.account(Account.Kind.REFUNDS)
    amounts = {matching.suspense(): transfer.fen, refunds: -transfer.fen}
    ledger.post(matching.used_reference(transfer), "transfer-back", amounts)
    return transfer


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise DomainError("no_reason", _("Write how you know."))
