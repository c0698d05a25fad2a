"""Reminders to buy the same again, and the yearly summary. Nothing is ever bought without the buyer."""

from datetime import date, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases import messages_to_buyers, portfolio
from purchases.choices import address_again
from purchases.links import absolute
from purchases.models import Buyer, Order, Repeat, Tariff


@transaction.atomic
def start(order: Order) -> Repeat:
    """Notes that the buyer of a paid order wants to be reminded of it. Again gives the same one.

    DomainError("no_contact") for a buyer who left none, ("stopped") after it was stopped.
    """
    if order.state not in Order.HAS_TREES or not order.buyer.contact:
        raise DomainError("not_paid", _("Only for an order that is paid can you be reminded."), 409)
    repeat = Repeat.objects.get_or_create(order=order)[0]
    if repeat.state == Repeat.State.STOPPED:
        raise DomainError("stopped", _("These reminders were stopped. Start them from your next order."), 409)
    return repeat


def change(repeat: Repeat, to: str) -> None:
    """Pauses, resumes or stops reminders; a second time changes nothing. DomainError("wrong_state") after a stop."""
    if repeat.state != to:
        move(repeat, to, reason="by the buyer")


def coming_tariff(order: Order) -> Tariff | None:
    """The newest vintage after the order's that can be bought or will be, once the year before it ends soon."""
    tariff = Tariff.objects.filter(vintage__gt=order.vintage, closes_at__gt=timezone.now()).order_by("-vintage").first()
    if tariff is None:
        return None
    year_ends = date(tariff.vintage - 1, 12, 31)
    return tariff if timezone.localdate() >= year_ends - timedelta(days=settings.REMIND_DAYS) else None


def due_reminders() -> list[int]:
    """Active repeats whose buyer has not been told of the newest vintage."""
    newest = Tariff.objects.filter(closes_at__gt=timezone.now()).order_by("-vintage").values_list("vintage", flat=True)
    if not newest:
        return []
    active = Repeat.objects.filter(
        state=Repeat.State.ACTIVE, order__state__in=Order.HAS_TREES, order__vintage__lt=newest[0]
    )
    untold = active.filter(Q(reminded_of=None) | Q(reminded_of__lt=newest[0]))
    return list(untold.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def remind(repeat_id: int) -> None:
    """Reminds of one order, once for each vintage."""
    rows = Repeat.objects.select_for_update(of=("self",)).select_related("order__buyer")
    repeat = rows.get(pk=repeat_id)
    tariff = coming_tariff(repeat.order)
    if repeat.state != Repeat.State.ACTIVE or tariff is None or repeat.reminded_of == tariff.vintage:
        return
    opens_at = tariff.opens_at if tariff.opens_at > timezone.now() else None
    messages_to_buyers.remind(repeat, tariff.vintage, again=absolute(address_again(repeat.order)), opens_at=opens_at)
    repeat.reminded_of = tariff.vintage
    repeat.save(update_fields=["reminded_of"])


def to_summarise() -> list[int]:
    """In January: one buyer of each contact that had trees last year and has reminders or an account."""
    if timezone.localdate().month != 1:
        return []
    whose = Q(orders__repeat__state=Repeat.State.ACTIVE) | Q(user__isnull=False)
    buyers = Buyer.objects.filter(whose, certificates__vintage=last_year(), contact_digest__isnull=False)
    newest = buyers.order_by("contact_digest", F("pk").desc()).distinct("contact_digest")
    return list(newest.values_list("pk", flat=True))


def summarise(buyer_id: int) -> None:
    """Writes one contact what its trees of the last year came to, if it still has any."""
    vintage = last_year()
    buyer = Buyer.objects.get(pk=buyer_id)
    scope = portfolio.of_visitor(None, buyer)
    row = next((row for row in portfolio.by_vintage(scope) if row["vintage"] == vintage), None) if scope else None
    if row is not None:
        messages_to_buyers.tell_summary(buyer, vintage, row["sum_trees"], row["sum_kg"])


def last_year() -> int:
    """The vintage that is summed up in January."""
    return timezone.localdate().year - 1
