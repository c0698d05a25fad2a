"""What holders do with a certificate: retire it, hand it on, divide it. Each is all or nothing, and done once.

Locks: the order, then the certificate, then its sinks by primary key. Losses and refunds lock the order too, so
whoever comes second finds what the first one did.
"""

import unicodedata

from django.db import transaction
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from carbonsink.errors import DomainError
from carbonsink.states import move
from purchases.certificates import Part, reissue
from purchases.models import Buyer, Certificate, Order, Retirement
from purchases.orders import check_holder
from trees.models import Tree

MOST_PURPOSE = 200


@transaction.atomic
def retire(
    certificate: Certificate, *, beneficiary: str, purpose: str, trees: int | None = None, by: User | None = None
) -> Certificate:
    """Uses up a certificate's sinks 注销 in somebody's name for a purpose, for ever; with `trees`, so many of them.

    Gives the retired certificate: this one, or the part that was divided from it. DomainError: no_beneficiary,
    no_purpose, bad_quantity, not_yours_any_more.
    """
    beneficiary, purpose = check_holder(beneficiary), _one_line(purpose)
    if not beneficiary:
        raise DomainError("no_beneficiary", _("Enter for whom the sinks are retired."))
    if not 0 < len(purpose) <= MOST_PURPOSE:
        raise DomainError("no_purpose", _("Enter what the sinks are retired for, in at most 200 characters."))
    certificate = _held(certificate)
    wanted = _quantity(certificate, trees)
    if wanted < certificate.trees:
        part, rest = _divided(certificate, _first(certificate, wanted))
        certificate, _kept = reissue(
            certificate, Certificate.State.REPLACED, [part, rest], "some of it is retired", by=by
        )
    move(certificate, Certificate.State.RETIRED, by=by, reason=purpose)
    Retirement.objects.create(certificate=certificate, beneficiary=beneficiary, purpose=purpose)
    return certificate


@transaction.atomic
def hand_on(
    certificate: Certificate,
    *,
    to: Buyer,
    holder: str,
    trees: int | None = None,
    reason: str,
    dedication: str = "",
    by: User | None = None,
) -> Certificate:
    """Gives a certificate, or `trees` of it, to another buyer under the name `holder` (empty: anonymous).

    The old one ends as transferred; what is kept gets a certificate of its own. Gives the new owner's certificate.
    DomainError: bad_quantity, not_yours_any_more.
    """
    holder = check_holder(holder)
    certificate = _held(certificate)
    given, kept = _divided(certificate, _first(certificate, _quantity(certificate, trees)))
    given = Part(given.sink_ids, to, holder, dedication)
    parts = [given, kept] if kept.sink_ids else [given]
    return reissue(certificate, Certificate.State.TRANSFERRED, parts, reason, by=by)[0]


@transaction.atomic
def split_tree(certificate: Certificate, tree: Tree, *, by: User | None = None) -> Certificate:
    """A certificate for one tree alone, divided from one that covers it; that one itself where it covers no other.

    DomainError: not_its_tree, not_yours_any_more.
    """
    certificate = _held(certificate)
    chosen = list(certificate.sinks.filter(tree=tree).values_list("pk", flat=True))
    if not chosen:
        raise DomainError("not_its_tree", _("This tree is not under this certificate. Choose one of its trees."), 404)
    if certificate.trees == 1:
        return certificate
    part, rest = _divided(certificate, chosen)
    return reissue(certificate, Certificate.State.REPLACED, [part, rest], "a tree of its own", by=by)[0]


def _held(certificate: Certificate) -> Certificate:
    """The certificate with its order locked, as it stands now; DomainError unless it is valid."""
    Order.objects.select_for_update().get(pk=certificate.order_id)
    found = Certificate.objects.select_related("order", "owner").select_for_update(of=("self",)).get(pk=certificate.pk)
    if found.state != Certificate.State.VALID:
        raise DomainError(
            "not_yours_any_more",
            _("This certificate was retired, handed on or replaced meanwhile. Open your newest one and try again."),
            status=409,
        )
    return found


def _quantity(certificate: Certificate, trees: int | None) -> int:
    """How many trees of the certificate are meant, all by default; DomainError when it has not as many."""
    wanted = certificate.trees if trees is None else trees
    if not 1 <= wanted <= certificate.trees:
        raise DomainError(
            "bad_quantity", _("Choose between 1 and %(most)s trees of this certificate.") % {"most": certificate.trees}
        )
    return wanted


def _first(certificate: Certificate, trees: int) -> list[int]:
    """The first sinks of a certificate, by their trees' numbers."""
    return list(certificate.sinks.order_by("tree__number").values_list("pk", flat=True)[:trees])


def _divided(certificate: Certificate, chosen: list[int]) -> tuple[Part, Part]:
    """The chosen sinks and the others, both in the name of the certificate."""
    apart = set(chosen)
    others = [pk for pk in certificate.sinks.values_list("pk", flat=True) if pk not in apart]
    part, rest = (
        Part(sinks, certificate.owner, certificate.holder, certificate.dedication) for sinks in (chosen, others)
    )
    return part, rest


def _one_line(text: str) -> str:
    """Text without control and direction characters, on one line."""
    return " ".join("".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text).split())
