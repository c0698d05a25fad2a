"""Money that people send back at the bank: refunds of bank transfers, refunds that a gateway refuses for good, and
transfers that nobody could place.

What a gateway refuses is tried again and again, and may go through at last: before anybody sends it at the bank, it is
taken over, and from then on no gateway is asked for it.

One person notes the bank's number, another confirms it; or the bank's own statement does. What was paid by transfer
leaves the account for transfers. Where a gateway refused, its money stays with it and settles as any other: the sponsor
has advanced the refund.
"""

from collections.abc import Sequence

import structlog
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.ledger import services as ledger
from carbonsink.ledger.models import Account
from carbonsink.states import move
from purchases import refunds
from purchases.gateways import TRANSFER
from purchases.models import ByHand, Refund, Transfer
from purchases.transfers.numbers import names
from purchases.transfers.rows import Row

log = structlog.get_logger(__name__)

Owed = Refund | Transfer
# A payment by hand in one of these states was made, or is said to have been.
LIVE = (ByHand.State.NOTED, ByHand.State.CONFIRMED)


def number_of(owed: Owed) -> str:
    """What is written into the remittance, so that the statement tells what a payment was for."""
    return owed.number if isinstance(owed, Refund) else owed.back_number or ""


def to_send() -> list[Owed]:
    """What somebody must send, oldest first: transfers on their way back, refunds of transfers, refunds that were taken
    over from a gateway."""
    of_buyers = Refund.objects.select_related("payment__order").order_by("pk")
    by_transfer = of_buyers.filter(payment__gateway=TRANSFER, state__in=[Refund.State.UNKNOWN, Refund.State.FAILED])
    taken = of_buyers.exclude(payment__gateway=TRANSFER).filter(state=Refund.State.BY_HAND)
    going = Transfer.objects.filter(state=Transfer.State.GOING_BACK).exclude(by_hand__state=ByHand.State.NOTED)
    return [*going.order_by("pk"), *by_transfer, *taken.exclude(by_hand__state__in=LIVE)]


def refused() -> list[Refund]:
    """Refunds that a gateway refused when it was asked last, oldest first; it is asked again."""
    of_buyers = Refund.objects.select_related("payment__order").order_by("pk")
    return list(of_buyers.exclude(payment__gateway=TRANSFER).filter(state=Refund.State.FAILED))


@transaction.atomic
def take_over(refund: Refund, *, by: User) -> None:
    """Has a refused refund be sent at the bank: its gateway is not asked for it any more, so it goes only once.
    DomainError("wrong_state") when the gateway may be sending it, or has sent it."""
    refund = _locked(refund)
    if refund.state != Refund.State.FAILED or refund.payment.gateway == TRANSFER:
        raise _may_still_send()
    move(refund, Refund.State.BY_HAND, by=by, reason="taken over, to be sent at the bank")


@transaction.atomic
def hand_back(refund: Refund, *, by: User) -> None:
    """Leaves a refund that was taken over, and that nobody has sent, to its gateway again. DomainError("wrong_state")
    when somebody has noted it as sent."""
    refund = _locked(refund)
    if refund.payment.gateway == TRANSFER or refund.by_hand.filter(state__in=LIVE).exists():
        raise DomainError("wrong_state", _("Somebody has noted this as sent. Reload the page."), status=409)
    move(refund, Refund.State.FAILED, by=by, reason="left to the payment service again")


def _locked(refund: Refund) -> Refund:
    return Refund.objects.select_for_update(of=["self"]).select_related("payment").get(pk=refund.pk)


def _may_still_send() -> DomainError:
    return DomainError("wrong_state", _("The payment service may still send this refund. Wait for it."), 409)


def to_confirm() -> list[ByHand]:
    """What was noted and waits for another person, oldest first."""
    noted = ByHand.objects.filter(state=ByHand.State.NOTED).select_related("refund__payment__order", "transfer")
    return list(noted.select_related("noted_by").order_by("pk"))


@transaction.atomic
def note_sent(owed: Owed, *, bank_serial: str, by: User | None) -> ByHand:
    """Notes that somebody sent the money at the bank, under the bank's number. What a gateway refused was taken over
    before; only the bank's own statement (`by` nobody) tells of it without.

    Raises DomainError: "invalid" without a number, "used" for one that was noted before, "wrong_state" for what is not
    to be sent by hand (any more).
    """
    bank_serial = bank_serial.strip()
    if not 1 <= len(bank_serial) <= 64 or not bank_serial.isprintable():
        raise DomainError("invalid", _("Enter the bank's serial number of the payment."))
    which: dict[str, Owed]
    if isinstance(owed, Refund):
        owed = _locked(owed)
        if owed.payment.gateway == TRANSFER or (by is None and owed.state == Refund.State.FAILED):
            move(owed, Refund.State.BY_HAND, by=by, reason=f"bank {bank_serial}")
        elif owed.state != Refund.State.BY_HAND:
            raise _may_still_send()
        which = {"refund": owed}
    else:
        owed = Transfer.objects.select_for_update().get(pk=owed.pk)
        if owed.state != Transfer.State.GOING_BACK:
            raise DomainError("wrong_state", _("This transfer is not to be sent back. Reload the page."), status=409)
        which = {"transfer": owed}
    try:
        with transaction.atomic():
            return ByHand.objects.create(**which, bank_serial=bank_serial, noted_by=by)
    except IntegrityError as error:
        raise DomainError(
            "used", _("This payment, or this number of the bank, was noted before. Reload the page."), status=409
        ) from error


@transaction.atomic
def confirm(noted: ByHand, *, by: User | None) -> None:
    """Books what was sent. DomainError("same_person") when it was noted by the same person."""
    if by is not None and noted.noted_by_id == by.pk:
        raise DomainError("same_person", _("Somebody else confirms what you have noted."), status=403)
    move(noted, ByHand.State.CONFIRMED, by=by, reason="seen at the bank", confirmed_by=by)
    if noted.refund is not None:
        refunds.succeed(noted.refund, _paid_from(noted.refund), by=by, reason=f"bank {noted.bank_serial}")
        return
    transfer = noted.transfer
    assert transfer is not None
    move(transfer, Transfer.State.SENT_BACK, by=by, reason=f"bank {noted.bank_serial}")
    account = ledger.account(Account.Kind.GATEWAY, TRANSFER)
    reference = f"transfer-sent:{transfer.bank}:{transfer.serial}"
    ledger.post(
        reference, "transfer-sent", {ledger.account(Account.Kind.REFUNDS): transfer.fen, account: -transfer.fen}
    )


@transaction.atomic
def withdraw(noted: ByHand, *, by: User) -> None:
    """Takes a note back: nothing was sent. What is owed waits to be sent again."""
    move(noted, ByHand.State.WITHDRAWN, by=by, reason="not sent")
    if noted.refund is not None:
        move(noted.refund, Refund.State.FAILED, by=by, reason="not sent at the bank")


def _paid_from(refund: Refund) -> Account:
    if refund.payment.gateway == TRANSFER:
        return ledger.account(Account.Kind.GATEWAY, TRANSFER)
    return ledger.account(Account.Kind.SPONSOR)


def confirm_by_statement(row: Row) -> bool:
    """Closes what a debit of the bank's statement names by number, with its amount; says whether it did. Again and
    again does nothing more."""
    owed = next((one for one in _open() if names(row.remittance, number_of(one))), None)
    if owed is None:
        return False
    if owed.fen != -row.fen:
        log.error("debit_of_another_amount", number=number_of(owed), fen=-row.fen, wanted=owed.fen)
        return False
    try:
        with transaction.atomic():
            noted = owed.by_hand.filter(state=ByHand.State.NOTED).select_for_update().first()
            if noted is None:
                noted = note_sent(owed, bank_serial=row.serial, by=None)
            confirm(noted, by=None)
    except DomainError as error:  # It keeps no other row of the statement waiting.
        log.error("debit_not_booked", number=number_of(owed), serial=row.serial, why=error.code)
        return False
    return True


def _open() -> Sequence[Owed]:
    noted = to_confirm()
    return [*to_send(), *refused(), *(owed for one in noted if (owed := one.refund or one.transfer) is not None)]
