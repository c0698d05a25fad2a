"""The public pages of the money: what came in, what arrived, where the rest is; each day signed, each order proven."""

from datetime import date
from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from carbonsink import limits
from carbonsink.pages import client_address
from payouts import daily
from payouts.models import DailyStatement
from purchases.models import Order

SHOWN = 31
# A proof may be of thousands of lines.
PROOFS, SECONDS = 60, 60


@require_safe
def money(request: HttpRequest) -> HttpResponse:
    """All the money there ever was, as it was signed last, and a table of days."""
    newest = DailyStatement.objects.order_by("-number").defer("secret").first()
    shown = DailyStatement.objects.order_by("-number").defer("secret")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 10:
        shown = shown.filter(number__lt=int(before))
    days = [_told(one) for one in shown[: SHOWN + 1]]
    context = {
        "newest": _told(newest) if newest else None,
        "days": days[:SHOWN],
        "older": days[SHOWN - 1]["number"] if len(days) > SHOWN else None,
    }
    return render(request, "payouts/money.html", context)


@require_safe
def statement(request: HttpRequest, day: str) -> HttpResponse:
    """One day: its figures, the equations, and the signed text."""
    found = _found(day)
    near = DailyStatement.objects.filter(number__in=[found.number - 1, found.number + 1])
    beside = near.defer("secret").in_bulk(field_name="number")
    context = {
        "statement": found,
        "told": _told(found),
        "is_signed": daily.is_signed(found),
        "before": beside.get(found.number - 1),
        "after": beside.get(found.number + 1),
    }
    return render(request, "payouts/money_day.html", context)


@require_safe
def statement_json(request: HttpRequest, day: str) -> JsonResponse:
    """The signed statement, for a check without us: see `clients/verify_money.py`."""
    found = _found(day)
    return _json(daily.signed(found), f"money-{found.day}.json")


@require_safe
@never_cache
def order(request: HttpRequest, token: str) -> HttpResponse:
    """In which statements the lines of an order are, with the proofs; for whoever has the order's link."""
    limits.allow("money-proof", client_address(request), PROOFS, SECONDS)
    found = get_object_or_404(Order, token=token, paid_at__isnull=False)
    days = []
    for one, leaves in daily.statements_of(found):
        sums: dict[str, dict[str, int]] = {}
        for leaf in leaves:
            said = sums.setdefault(leaf.entry, {"lines": 0, "fen": 0})
            said["lines"] += 1
            said["fen"] += leaf.fen
        days.append({"statement": one, "sums": sums})
    return render(request, "payouts/money_order.html", {"order": found, "days": days})


@require_safe
@never_cache
def proof(request: HttpRequest, day: str) -> JsonResponse:
    """The proof that the lines of an order are in a day's statement (`?order=…&token=…`)."""
    limits.allow("money-proof", client_address(request), PROOFS, SECONDS)
    found = _found(day)
    of = Order.objects.filter(number=_asked(request, "order"), token=_asked(request, "token")).first()
    proven = daily.proof(found, of) if of else None
    if proven is None:
        raise Http404(_("Nothing of this order is in this statement."))
    return _json(proven, f"proof-{found.day}.json")


@require_safe
def verifier(request: HttpRequest) -> FileResponse:
    """The program that checks all of it, which needs nothing of the platform."""
    content = (settings.BASE_DIR / "clients" / "verify_money.py").open("rb")
    return FileResponse(content, as_attachment=True, filename="verify_money.py", content_type="text/x-python")


def _found(day: str) -> DailyStatement:
    try:
        asked = date.fromisoformat(day)
    except ValueError as error:
        raise Http404 from error
    if str(asked) != day:
        raise Http404
    return get_object_or_404(DailyStatement.objects.defer("secret"), day=asked)


def _asked(request: HttpRequest, name: str) -> str:
    """A value of the address; without a NUL, which no text in the database has."""
    return request.GET.get(name, "").replace("\0", "")


def _told(one: DailyStatement) -> dict[str, Any]:
    """What a statement says, with what the pages add up."""
    told = daily.told(one)
    for name in ("of_day", "ever"):
        figures = told[name]
        figures["came"] = sum(figures["in"].values())
        figures["disbursed"] = figures["arrived"] - figures["returned"]
        figures["accounted"] = figures["came"] + figures["borne_by_sponsor"]
        figures["went_back"] = figures["refunded"] + figures["owed_back"]
    return told | {"on": one.day}


def _json(content: dict[str, Any], name: str) -> JsonResponse:
    return JsonResponse(
        content,
        json_dumps_params={"ensure_ascii": False, "indent": 1},
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )
