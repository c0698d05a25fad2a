"""Following the money, for finance: one box for whatever number somebody has, and the chain it belongs to."""

from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from payouts import finding, follow_many
from payouts import follow as chains
from payouts.models import Batch, Payout, StatementRow
from purchases.models import Certificate, Order, Sink
from trees.models import Household, Tree


@dataclass
class Subject:
    """What was found: the chain, and the tree, its years, or the certificate it was found by; or a file or a household
    with its payouts."""

    chain: chains.Chain | None
    tree: Tree | None = None
    sinks: list[Sink] = field(default_factory=list)
    sink: Sink | None = None
    certificate: Certificate | None = None
    payout: Payout | None = None
    file: Batch | None = None
    rows: follow_many.FileRows | None = None
    household: Household | None = None
    many: follow_many.Many | None = None


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
        "more": len(found) == finding.MOST,
        "chosen": chosen[0] if chosen else None,
        "subject": _subject(chosen[0], request.GET) if chosen else None,
    }
    return render(request, "finance/follow.html", context)


def _subject(found: finding.Found, asked: QueryDict) -> Subject:
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
    if found.kind == "file":
        file = Batch.objects.defer("content").get(pk=found.pk)
        many = follow_many.of_file(file, asked.get("end", ""), asked.get("page"))
        return Subject(None, file=file, rows=follow_many.rows_of_file(file), many=many)
    if found.kind == "household":
        household = Household.objects.select_related("village").get(pk=found.pk)
        many = follow_many.of_household(household, asked.get("end", ""), asked.get("page"))
        return Subject(None, household=household, many=many)
    return _of_tree(found.pk, asked.get("vintage", ""))


def _of_tree(pk: int, vintage: str) -> Subject:
    """A tree's sink of a year: the one asked for, else the newest that has an order."""
    tree = Tree.objects.select_related("household__village", "species").get(pk=pk)
    sinks = list(tree.sinks.select_related("order").order_by("-vintage"))
    asked = [one for one in sinks if str(one.vintage) == vintage]
    ordered = [one for one in sinks if one.order_id]
    sink = next(iter(asked or ordered or sinks), None)
    return Subject(chains.of_sink(sink) if sink else None, tree=tree, sinks=sinks, sink=sink)
