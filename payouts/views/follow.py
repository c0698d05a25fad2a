"""Following the money, for finance: one box for whatever number somebody has, and the chain it belongs to."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from payouts import finding
from payouts import follow as chains
from payouts.models import Payout, StatementRow
from purchases.models import Certificate, Order, Sink
from trees.models import Tree


@dataclass
class Subject:
    """What was found: the chain, and the tree, its years, or the certificate it was found by."""

    chain: chains.Chain | None
    tree: Tree | None = None
    sinks: list[Sink] = field(default_factory=list)
    sink: Sink | None = None
    certificate: Certificate | None = None
    payout: Payout | None = None


@role_required(FINANCE)
@require_safe
def follow(request: HttpRequest) -> HttpResponse:
    """The box, what was found by what was typed, and its chain."""
    text = request.GET.get("q", "")
    found = finding.find(text)
    which = request.GET.get("which", "")
    chosen = [one for one in found if len(found) == 1 or which == f"{one.kind}-{one.pk}"]
    context = {
        "q": text.replace("\0", ""),
        "found": found,
        "chosen": chosen[0] if chosen else None,
        "subject": _subject(chosen[0], request.GET.get("vintage", "")) if chosen else None,
    }
    return render(request, "finance/follow.html", context)


def _subject(found: finding.Found, vintage: str) -> Subject:
    if found.kind == "order":
        return Subject(chains.of_order(Order.objects.get(pk=found.pk)))
    if found.kind == "certificate":
        certificate = Certificate.objects.select_related("order").get(pk=found.pk)
        return Subject(chains.of_certificate(certificate), certificate=certificate)
    if found.kind == "payout":
        payout = Payout.objects.get(pk=found.pk)
        return Subject(chains.of_payout(payout), payout=payout)
    if found.kind == "row":
        return Subject(chains.of_row(StatementRow.objects.select_related("payout", "entry").get(pk=found.pk)))
    return _of_tree(found.pk, vintage)


def _of_tree(pk: int, vintage: str) -> Subject:
    """A tree's sink of a year: the one asked for, else the newest that has an order."""
    tree = Tree.objects.select_related("household__village", "species").get(pk=pk)
    sinks = list(tree.sinks.select_related("order").order_by("-vintage"))
    asked = [one for one in sinks if str(one.vintage) == vintage]
    ordered = [one for one in sinks if one.order_id]
    sink = next(iter(asked or ordered or sinks), None)
    return Subject(chains.of_sink(sink) if sink else None, tree=tree, sinks=sinks, sink=sink)
