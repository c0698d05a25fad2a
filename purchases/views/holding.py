"""What an owner does with a certificate: retire it, hand it on, give a tree its own. What is not theirs is 404."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from carbonsink.pages import form_page
from purchases import gifts, portfolio
from purchases.models import Certificate
from purchases.views.my_forms import HandOnForm, RetireForm, SureForm
from purchases.views.portfolio import SHOWN, base, known_scope, visitor


def _own(request: HttpRequest, token: str, order: str) -> Certificate:
    """A valid certificate of the visitor's; 404 for any other."""
    valid = known_scope(request, order).certificates().filter(state=Certificate.State.VALID)
    return get_object_or_404(valid.select_related("order__buyer", "owner"), token=token)


def _free(certificate: Certificate) -> int:
    """How many of its trees are not promised to gifts."""
    if gifts.giving_certificate(certificate.order) != certificate:
        return certificate.trees
    return gifts.unpromised(certificate.order)


@require_safe
@never_cache
def certificate(request: HttpRequest, token: str, order: str = "") -> HttpResponse:
    """One certificate, and what its owner can do with it."""
    found = _own(request, token, order)
    sinks = found.sinks.select_related("tree__species", "tree__household__village", "tree__picture")
    context = {
        "certificate": found,
        "base": base(order),
        "free": _free(found),
        "sinks": sinks.order_by("pk")[:SHOWN],
        "gives": found.owner_id == found.order.buyer_id,
    }
    return render(request, "purchases/my_certificate.html", context)


def _twice(
    request: HttpRequest, order: str, found: Certificate, form: SureForm, kind: str, do: Callable[[dict[str, Any]], str]
) -> HttpResponse:
    """A form whose words are shown once more, with what cannot be undone, before it is acted upon."""
    context = {"certificate": found, "base": base(order), "kind": kind, "free": _free(found)}

    def act(data: dict[str, Any]) -> HttpResponse:
        if not data["sure"]:
            return render(request, "purchases/my_certificate_sure.html", {"form": form, "data": data, **context})
        messages.success(request, do(data))
        return redirect(base(order))

    return form_page(request, form, "purchases/my_certificate_form.html", act, **context)


@never_cache
def retire(request: HttpRequest, token: str, order: str = "") -> HttpResponse:
    """Uses up trees for somebody and a purpose, for ever."""
    found = _own(request, token, order)

    def do(data: dict[str, Any]) -> str:
        portfolio.retire(
            found,
            beneficiary=data["beneficiary"],
            purpose=data["purpose"],
            trees=data["trees"],
            by=visitor(request),
        )
        return _("Retired. The register shows it from now on.")

    form = RetireForm(request.POST or None, initial={"trees": _free(found), "beneficiary": found.holder})
    return _twice(request, order, found, form, "retire", do)


@never_cache
def hand_on(request: HttpRequest, token: str, order: str = "") -> HttpResponse:
    """Makes somebody else the owner, for ever."""
    found = _own(request, token, order)

    def do(data: dict[str, Any]) -> str:
        portfolio.hand_on(found, contact=data["contact"], holder=data["holder"], trees=data["trees"])
        return _("Handed on. A message with the link is on its way to the new owner.")

    form = HandOnForm(request.POST or None, initial={"trees": _free(found)})
    return _twice(request, order, found, form, "hand-on", do)


@require_POST
def split(request: HttpRequest, token: str, order: str = "") -> HttpResponse:
    """Gives one tree a certificate of its own."""
    made = portfolio.split_tree(_own(request, token, order), request.POST.get("tree", ""))
    messages.success(request, _("The tree has a certificate of its own: %(serial)s.") % {"serial": made.serial})
    return redirect(base(order))
