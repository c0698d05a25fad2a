"""Gifts: a giver's page of an order, and the recipient's page of a code."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from carbonsink import limits
from carbonsink.errors import DomainError
from carbonsink.pages import client_address, form_page
from purchases import gift_cards, gift_files, gifts
from purchases.models import Buyer, Gift, Order
from purchases.portfolio import PAID
from purchases.views.my_forms import CodeForm, CodesForm, GiftFileForm, GiftForm, TakeForm

LISTED = 100


def _order(token: str) -> Order:
    return get_object_or_404(Order.objects.select_related("buyer"), token=token, state__in=PAID)


@require_safe
@never_cache
def given(request: HttpRequest, token: str) -> HttpResponse:
    """The gifts of an order, their codes and cards, and how many trees are left to give."""
    order = _order(token)
    before = request.GET.get("before", "")
    found = order.gifts.select_related("certificate").order_by("-pk")
    if before.isascii() and before.isdigit() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    shown = list(found[: LISTED + 1])
    waiting = order.gifts.filter(state=Gift.State.WAITING).count()
    context = {
        "order": order,
        "site": settings.PUBLIC_BASE_URL,
        "gifts": shown[:LISTED],
        "older": shown[LISTED - 1].pk if len(shown) > LISTED else None,
        "free": gifts.unpromised(order),
        "waiting": waiting,
        "sheets": [(start + 1, min(start + gift_cards.MOST, waiting)) for start in range(0, waiting, gift_cards.MOST)],
    }
    return render(request, "purchases/gifts.html", context)


def _give(
    request: HttpRequest, token: str, form: Form, kind: str, wishes: Callable[[dict[str, Any]], list[gifts.Wish]]
) -> HttpResponse:
    """A form that makes gifts."""
    order = _order(token)
    context: dict[str, Any] = {"order": order, "kind": kind, "free": gifts.unpromised(order), "mistakes": []}

    def act(data: dict[str, Any]) -> HttpResponse:
        try:
            made = gifts.give(order, wishes(data), giver=data["giver"], form_token=data["form_token"])
        except gift_files.BadRows as error:
            context["mistakes"] = error.mistakes
            form.add_error(None, error.message)
            return render(request, "purchases/gift_form.html", {"form": form, **context}, status=400)
        messages.success(
            request, ngettext("%(n)s gift is ready.", "%(n)s gifts are ready.", len(made)) % {"n": len(made)}
        )
        return redirect("purchases:gifts", order.token)

    return form_page(request, form, "purchases/gift_form.html", act, **context)


@never_cache
def new(request: HttpRequest, token: str) -> HttpResponse:
    """One gift."""

    def wishes(data: dict[str, Any]) -> list[gifts.Wish]:
        return [gifts.Wish(**{name: value for name, value in data.items() if name not in ("giver", "form_token")})]

    form = GiftForm(request.POST or None, initial={"giver": _order(token).holder})
    return _give(request, token, form, "one", wishes)


@never_cache
def codes(request: HttpRequest, token: str) -> HttpResponse:
    """So many codes of so many trees each."""

    def wishes(data: dict[str, Any]) -> list[gifts.Wish]:
        return [gifts.Wish(data["trees"], message=data["message"], opens_on=data["opens_on"])] * data["codes"]

    form = CodesForm(request.POST or None, initial={"giver": _order(token).holder})
    return _give(request, token, form, "codes", wishes)


@never_cache
def from_file(request: HttpRequest, token: str) -> HttpResponse:
    """Gifts from a list."""

    def wishes(data: dict[str, Any]) -> list[gifts.Wish]:
        return gift_files.read_wishes(data["file"], data["file"].name)

    form = GiftFileForm(request.POST or None, request.FILES or None, initial={"giver": _order(token).holder})
    return _give(request, token, form, "file", wishes)


@require_POST
def withdraw(request: HttpRequest, token: str, pk: int) -> HttpResponse:
    """Takes back a gift that nobody has taken yet."""
    gifts.withdraw(get_object_or_404(_order(token).gifts, pk=pk))
    messages.success(request, _("The gift was withdrawn. Its trees are free again."))
    return redirect("purchases:gifts", token)


@require_safe
@never_cache
def codes_csv(request: HttpRequest, token: str) -> HttpResponse:
    """All codes of an order for a spreadsheet."""
    order = _order(token)
    return _download(gift_files.codes_csv(order.gifts.order_by("pk")), f"gifts-{order.number}.csv", "text/csv")


@require_safe
@never_cache
def cards(request: HttpRequest, token: str) -> HttpResponse:
    """Cards of gifts that wait, from the n-th on, at most so many at once."""
    order = _order(token)
    text = request.GET.get("from", "1")
    first = int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 6 else 1
    start = max(0, first - 1)
    shown = list(order.gifts.filter(state=Gift.State.WAITING).order_by("pk")[start : start + gift_cards.MOST])
    if not shown:
        raise Http404
    return _download(gift_cards.cards_pdf(shown), f"cards-{order.number}-{first}.pdf", "application/pdf")


@require_safe
@never_cache
def card(request: HttpRequest, token: str, pk: int) -> HttpResponse:
    """One card."""
    gift = get_object_or_404(_order(token).gifts, pk=pk)
    return _download(gift_cards.card_pdf(gift), f"card-{gift.pk}.pdf", "application/pdf")


def _download(content: bytes, name: str, kind: str) -> HttpResponse:
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@never_cache
def find(request: HttpRequest) -> HttpResponse:
    """Where the code from a card is typed."""

    def act(data: dict[str, Any]) -> HttpResponse:
        return redirect("purchases:gift", _gift(request, data["code"]).code)

    return form_page(request, CodeForm(request.POST or None), "purchases/gift_find.html", act)


def _gift(request: HttpRequest, text: str) -> Gift:
    """The gift with this code. Wrong codes are counted for each network address, so that nobody tries many."""
    address = client_address(request)
    limits.allow("gift-codes-open", address, 300, 3600)
    found = Gift.objects.select_related("order", "certificate").filter(code=gifts.typed_code(text)).first()
    if found is not None:
        return found
    limits.allow("gift-codes", address, 20, 3600)
    raise DomainError("no_gift", _("There is no gift with this code. Check every letter on your card."), 404)


@never_cache
def gift(request: HttpRequest, code: str) -> HttpResponse:
    """A gift: from whom it is, and the form to take it."""
    found = _gift(request, code)

    def act(data: dict[str, Any]) -> HttpResponse:
        receiver = Buyer(contact=data["contact"], language=get_language() or "")
        certificate = gifts.take(found, holder=data["holder"], receiver=receiver)
        messages.success(request, _("The gift is yours. Keep the address of this page."))
        return redirect("purchases:certificate", certificate.token)

    context = {
        "gift": found,
        "opens": gifts.opens(found),
        "sinks": gifts.shown_sinks(found),
    }
    form = TakeForm(request.POST if request.method == "POST" else None, initial={"holder": found.recipient})
    return form_page(request, form, "purchases/gift.html", act, **context)
