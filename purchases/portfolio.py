"""My trees: what a contact, a signed-in buyer or the holder of an order's link owns, and what they do with it."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from carbonsink import crypto
from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from purchases import gifts, holding, messages_to_buyers, proceeds
from purchases.models import Buyer, Certificate, Order, Sink
from purchases.orders import check_contact
from trees.models import Household

OWNED = (Certificate.State.VALID, Certificate.State.RETIRED)
PAID = (*Order.HAS_TREES, Order.State.REFUNDED)


@dataclass(frozen=True)
class Scope:
    """Whose certificates are seen: those of some buyers, of one order alone if there is one."""

    buyers: tuple[int, ...]
    order: Order | None = None

    def certificates(self) -> QuerySet[Certificate]:
        """All certificates these buyers own or owned, also ended ones."""
        found = Certificate.objects.filter(owner__in=self.buyers)
        return found.filter(order=self.order) if self.order else found

    def owned(self) -> QuerySet[Certificate]:
        """Those that hold now: valid or retired."""
        return self.certificates().filter(state__in=OWNED)

    def sinks(self) -> QuerySet[Sink]:
        """The sinks of the certificates that hold now."""
        return Sink.objects.filter(certificate__in=self.owned())

    def orders(self) -> QuerySet[Order]:
        """The buyers' orders that were paid."""
        found = Order.objects.filter(buyer__in=self.buyers, state__in=PAID)
        return found.filter(pk=self.order.pk) if self.order else found


def of_order(order: Order) -> Scope:
    """What the link of an order opens: what its buyer has of that order."""
    return Scope((order.buyer_id,), order)


def of_visitor(user: User | None, contact: Buyer | None) -> Scope | None:
    """What a signed-in user or a contact that was verified by a link opens; None for anybody else."""
    if user is None and contact is None:
        return None
    whose = Q(user=user) if user else Q()
    if contact:
        whose |= same_contact(contact)
    return Scope(tuple(Buyer.objects.filter(whose).order_by("pk").values_list("pk", flat=True)))


def same_contact(buyer: Buyer) -> Q:
    """All rows of the buyer's contact."""
    return Q(contact_digest__in=crypto.digests(buyer.contact)) if buyer.contact else Q(pk=buyer.pk)


def send_link(contact: str) -> None:
    """Sends the link to all trees of a contact, if we know it. DomainError for what is no contact."""
    contact = check_contact(contact)
    buyer = Buyer.objects.filter(contact_digest__in=crypto.digests(contact)).order_by("-pk").first()
    if buyer is not None:
        messages_to_buyers.send_link(buyer)


def by_vintage(scope: Scope) -> list[dict[str, Any]]:
    """Trees and kilograms by vintage, newest first, and how many of these trees are retired."""
    rows: Any = (
        scope.owned()
        .values("vintage")
        .annotate(
            sum_trees=Sum("trees"),
            sum_kg=Sum("kg"),
            retired=Sum("trees", filter=Q(state=Certificate.State.RETIRED), default=0),
        )
    )
    return list(rows.order_by("-vintage"))


def trees_after(scope: Scope, after: int, most: int) -> list[Sink]:
    """The next sinks, with what a page shows of their trees."""
    sinks = scope.sinks().filter(pk__gt=after).order_by("pk")
    return list(sinks.select_related("tree__species", "tree__household__village", "tree__picture")[:most])


@dataclass(frozen=True)
class HouseholdShare:
    """A household and where the money it is owed for somebody's trees is."""

    household: Household
    share: proceeds.Share


def money_after(scope: Scope, after: int, most: int) -> list[HouseholdShare]:
    """Where the money is with each of the next `most` households."""
    sinks = scope.sinks()
    ids = list(
        sinks.filter(household__gt=after).order_by("household").values_list("household", flat=True).distinct()[:most]
    )
    households = Household.objects.select_related("village").in_bulk(ids)
    return [
        HouseholdShare(households[part.household_id], part) for part in proceeds.shares(sinks.filter(household__in=ids))
    ]


def money(scope: Scope) -> proceeds.Proceeds:
    """Where the money for all of the visitor's trees is."""
    return proceeds.summed(proceeds.shares(scope.sinks()))


def gifts_by_order(scope: Scope) -> dict[int, dict[str, int]]:
    """How many gifts of each order are in which state."""
    rows = scope.orders().filter(gifts__isnull=False).values_list("pk", "gifts__state")
    found: dict[int, dict[str, int]] = {}
    for order, state, count in rows.annotate(n=Count("gifts")).order_by("pk"):
        found.setdefault(order, {})[state] = count
    return found


@dataclass(frozen=True)
class Summary:
    """A year of somebody's trees."""

    vintage: int
    trees: int
    kg: int
    retired: int
    villages: int
    households: int
    money: proceeds.Proceeds


def summary(scope: Scope, vintage: int) -> Summary | None:
    """What a vintage came to; None without trees of that year."""
    found = next((row for row in by_vintage(scope) if row["vintage"] == vintage), None)
    if found is None:
        return None
    sinks = scope.sinks().filter(vintage=vintage)
    places = sinks.aggregate(
        households=Count("household", distinct=True), villages=Count("tree__household__village", distinct=True)
    )
    parts = proceeds.summed(proceeds.shares(sinks))
    return Summary(vintage, found["sum_trees"], found["sum_kg"], found["retired"], money=parts, **places)


@transaction.atomic
def retire(certificate: Certificate, *, beneficiary: str, purpose: str, trees: int, by: User | None = None) -> None:
    """Uses up some or all trees of a certificate for somebody and a purpose, for ever.

    DomainError: promised (to gifts), bad_quantity, not_yours_any_more.
    """
    gifts.keep_promises(certificate, trees)
    holding.retire(certificate, beneficiary=beneficiary, purpose=purpose, trees=trees, by=by)


@transaction.atomic
def hand_on(certificate: Certificate, *, contact: str, holder: str, trees: int) -> Certificate:
    """Hands some or all trees of a certificate to the buyer at another contact, who is told. For ever.

    DomainError: bad_contact, promised (to gifts), bad_quantity, not_yours_any_more.
    """
    gifts.keep_promises(certificate, trees)
    receiver = make_receiver(contact)
    made = holding.hand_on(certificate, to=receiver, holder=holder, trees=trees, reason="handed on")
    messages_to_buyers.tell_handed_on(made)
    return made


@transaction.atomic
def split_tree(certificate: Certificate, number: str) -> Certificate:
    """Gives one tree of a certificate a certificate of its own. DomainError: not_yours_any_more, promised."""
    found = certificate.sinks.select_related("tree").filter(tree__number=number)
    sink = found.first() if number.isalnum() else None
    if sink is None:
        raise DomainError("not_found", _("This certificate does not cover that tree. Reload the page."), 404)
    gifts.keep_promises(certificate, 1)
    return holding.split_tree(certificate, sink.tree)


def make_receiver(contact: str) -> Buyer:
    """The buyer that a certificate is handed to, at a contact or (empty) at none."""
    made = Buyer(contact=check_contact(contact) if contact else "", language=get_language() or "")
    made.save()
    return made


@transaction.atomic
def sign_up(contact: Buyer, *, name: str, password: str) -> User:
    """Makes the account of a verified contact, without any role, and ties its purchases to it.

    DomainError("known") when there is one already.
    """
    if User.objects.by_identifier(contact.contact) is not None:
        raise DomainError("known", _("There is an account for this contact already. Sign in with its password."), 409)
    where = {"email": contact.contact} if "@" in contact.contact else {"phone": contact.contact}
    user = User.objects.create_user(password=password, name=name, **where)
    tie(contact, user)
    return user


def tie(contact: Buyer, user: User) -> None:
    """Has a user own what a contact has bought, if it is the user's own contact."""
    if contact.contact and User.objects.by_identifier(contact.contact) == user:
        Buyer.objects.filter(same_contact(contact), user=None).update(user=user)
