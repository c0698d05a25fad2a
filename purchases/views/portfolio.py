"""My trees: what a visitor owns, by an account, by a link that was sent to a contact, or by the link of an order."""

from typing import Any

from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from carbonsink import limits
from carbonsink.accounts.models import User
from carbonsink.crypto import mask
from carbonsink.pages import client_address, form_page
from purchases import links, portfolio
from purchases.models import Buyer, Order
from purchases.views.my_forms import LinkForm, SignUpForm

# The session's verified contact: the buyer's row, and until when.
VERIFIED = "my_trees"
VERIFIED_HOURS = 12
SHOWN = 60
LISTED = 50


def verified_contact(request: HttpRequest) -> Buyer | None:
    """The contact that this session has shown to be its own, by a link."""
    pk, until = request.session.get(VERIFIED, (None, 0))
    return Buyer.objects.filter(pk=pk).first() if until > timezone.now().timestamp() else None


def visitor(request: HttpRequest) -> User | None:
    """The signed-in user, if any."""
    return request.user if isinstance(request.user, User) else None


def scope_of(request: HttpRequest, order: str = "") -> portfolio.Scope | None:
    """What this visitor sees: by the token of an order its part alone, else everything of account and contact."""
    if order:
        found = get_object_or_404(Order.objects.select_related("buyer"), token=order, state__in=portfolio.PAID)
        return portfolio.of_order(found)
    return portfolio.of_visitor(visitor(request), verified_contact(request))


def known_scope(request: HttpRequest, order: str = "") -> portfolio.Scope:
    """What this visitor sees; 404 for strangers."""
    scope = scope_of(request, order)
    if scope is None:
        raise Http404
    return scope


def base(order: str) -> str:
    """The address below which this part of "my trees" lies."""
    return reverse("purchases:portfolio-order", args=[order]) if order else reverse("purchases:portfolio")


@never_cache
def my_trees(request: HttpRequest, order: str = "") -> HttpResponse:
    """All of it at a glance. Strangers are asked where to send their link."""
    scope = scope_of(request, order)
    if scope is None:
        return ask(request)
    if request.method == "POST":
        return redirect(base(order))
    before = _number(request, "before", 10**18)
    listed = scope.certificates().filter(pk__lt=before).select_related("order", "owner", "retirement").order_by("-pk")
    certificates = list(listed[: LISTED + 1])
    bought = scope.orders().select_related("repeat", "species", "area", "campaign").order_by("-pk")[:LISTED]
    given, orders = portfolio.gifts_by_order(scope), list(bought)
    for one in orders:
        one.given = given.get(one.pk, {})  # type: ignore[attr-defined]
    contact = verified_contact(request)
    context = {
        "scope": scope,
        "base": base(order),
        "vintages": portfolio.by_vintage(scope),
        "certificates": certificates[:LISTED],
        "older": certificates[LISTED - 1].pk if len(certificates) > LISTED else None,
        "orders": orders,
        "proceeds": portfolio.money(scope),
        "contact": _masked(contact) if contact and not order else "",
        "may_sign_up": bool(contact and not order and visitor(request) is None),
    }
    return render(request, "purchases/my_trees.html", context)


def _masked(contact: Buyer) -> str:
    name, at, host = contact.contact.partition("@")
    return mask(name, 2, 0) + at + host if at else mask(name, 3, 4)


def _number(request: HttpRequest, name: str, otherwise: int) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else otherwise


def ask(request: HttpRequest, notice: str = "") -> HttpResponse:
    """Asks for a contact. The answer is the same whether we know it or not."""

    def act(data: dict[str, Any]) -> HttpResponse:
        limits.allow("my-trees-address", client_address(request), 20, 3600)
        if limits.is_allowed("my-trees-contact", data["contact"], 3, 3600):
            portfolio.send_link(data["contact"])
        return redirect(reverse("purchases:portfolio") + "?sent=1")

    sent = "sent" in request.GET and request.method != "POST"
    return form_page(
        request, LinkForm(request.POST or None), "purchases/my_trees_ask.html", act, sent=sent, notice=notice
    )


@require_safe
@never_cache
def enter(request: HttpRequest, signed: str) -> HttpResponse:
    """Where a link leads: the session may see the contact's trees from now on, at an address without secrets."""
    contact = links.read_link(signed)
    if contact is None:
        notice = _("This link is not valid any more. Ask for a new one.")
        return form_page(request, LinkForm(), "purchases/my_trees_ask.html", _nothing, sent=False, notice=notice)
    request.session.cycle_key()
    request.session[VERIFIED] = [contact.pk, timezone.now().timestamp() + VERIFIED_HOURS * 3600]
    user = visitor(request)
    if user is not None:
        portfolio.tie(contact, user)
    return redirect("purchases:portfolio")


def _nothing(data: dict[str, Any]) -> HttpResponse:
    raise Http404


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Has this browser forget the verified contact."""
    request.session.pop(VERIFIED, None)
    request.session.cycle_key()
    return redirect("purchases:portfolio")


@require_safe
@never_cache
def trees(request: HttpRequest, order: str = "") -> HttpResponse:
    """The trees with their photos and places, so many a page."""
    scope = known_scope(request, order)
    after = _number(request, "after", 0)
    sinks = portfolio.trees_after(scope, after, SHOWN + 1)
    context = {
        "base": base(order),
        "sinks": sinks[:SHOWN],
        "after": after,
        "next": sinks[SHOWN - 1].pk if len(sinks) > SHOWN else None,
    }
    return render(request, "purchases/my_trees_trees.html", context)


@require_safe
@never_cache
def money(request: HttpRequest, order: str = "") -> HttpResponse:
    """Where the money is with each household, so many a page."""
    scope = known_scope(request, order)
    after = _number(request, "after", 0)
    rows = portfolio.money_after(scope, after, LISTED + 1)
    households = list(dict.fromkeys(row.household.pk for row in rows))
    context = {
        "base": base(order),
        "order_token": order,
        "rows": [row for row in rows if row.household.pk in households[:LISTED]],
        "after": after,
        "next": households[LISTED - 1] if len(households) > LISTED else None,
        "proceeds": portfolio.money(scope),
    }
    return render(request, "purchases/my_trees_money.html", context)


@require_safe
@never_cache
def summary(request: HttpRequest, vintage: int, order: str = "") -> HttpResponse:
    """What a year came to, to be printed."""
    found = portfolio.summary(known_scope(request, order), vintage)
    if found is None:
        raise Http404
    context = {"summary": found, "base": base(order), "proceeds": found.money, "today": timezone.localdate()}
    return render(request, "purchases/my_trees_summary.html", context)


@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    """A password for a contact that was verified by a link."""
    contact = verified_contact(request)
    if contact is None or not contact.contact or visitor(request) is not None:
        raise Http404

    def act(data: dict[str, Any]) -> HttpResponse:
        user = portfolio.sign_up(contact, name=data["name"], password=data["password"])
        login(request, user, backend="carbonsink.accounts.backends.PhoneOrEmailBackend")
        return redirect("purchases:portfolio")

    form = SignUpForm(request.POST or None)
    return form_page(request, form, "purchases/my_trees_sign_up.html", act, contact=_masked(contact))
