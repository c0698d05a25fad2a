"""A certificate and its check."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from carbonsink import qr
from purchases import certificates, drawing, proceeds, standing
from purchases.drawing.words import Language, language_of
from purchases.models import Certificate, Retirement
from trees.models import Tree

SHOWN_TREES = 60


@require_safe
def certificate(request: HttpRequest, token: str) -> HttpResponse:
    """A certificate and its check: what was signed, whether the signature fits, and what the register says now."""
    found = _found(token)
    genuine = certificates.is_genuine(found)
    stands = standing.standing(found) if genuine else "forged"
    shown = Tree.objects.filter(sinks__certificate=found).select_related("species", "household__village", "picture")
    context: dict[str, Any] = {
        "certificate": found,
        "genuine": genuine,
        "standing": stands,
        "words": standing.WORDS[stands],
        "retirement": Retirement.objects.filter(certificate=found).first(),
        "successors": standing.successors(found),
        "payload": certificates.payload(found).decode(),
        "public_key": certificates.public_key_text(),
        "trees": shown.order_by("number")[:SHOWN_TREES],
        "paid_fen": found.trees * found.order.price_fen,
        "proceeds": proceeds.proceeds(found.order) if standing.is_the_buyers(found) else None,
        "releases": standing.told(found),
        "address": settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[token]),
    }
    return render(request, "purchases/certificate.html", context)


@require_safe
def certificate_qr(request: HttpRequest, token: str) -> HttpResponse:
    """The QR code that leads to the check of a certificate."""
    return qr.response(settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[_found(token).token]))


@require_safe
def certificate_png(request: HttpRequest, token: str) -> HttpResponse:
    """The certificate as a picture to share."""
    found = _found(token)
    return _drawn(drawing.certificate_png(found, _language(request)), "image/png", f"{found.serial}.png")


@require_safe
def certificate_pdf(request: HttpRequest, token: str) -> HttpResponse:
    """The certificate as a paper to print."""
    found = _found(token)
    return _drawn(drawing.certificate_pdf(found, _language(request)), "application/pdf", f"{found.serial}.pdf")


@require_safe
def tree_pdf(request: HttpRequest, token: str, number: str) -> HttpResponse:
    """The sheet of one tree that the certificate covers now."""
    found = _found(token)
    trees = Tree.objects.select_related("species", "household__village")
    tree = get_object_or_404(trees, number=number, sinks__certificate=found)
    content = drawing.tree_pdf(found, tree, _language(request))
    return _drawn(content, "application/pdf", f"{found.serial}-{number}.pdf")


@require_safe
def certificate_json(request: HttpRequest, token: str) -> JsonResponse:
    """What was signed, for a check without us: see `clients/verify_certificate.py`."""
    found = _found(token)
    signed = {
        "payload": certificates.payload(found).decode(),
        "signature": found.signature,
        "key_id": found.key_id,
    }
    return _json(signed, f"{found.serial}.json")


@require_safe
def certificate_keys(request: HttpRequest) -> JsonResponse:
    """The public keys that certificates are signed with: today's first, then the former ones."""
    return _json({"keys": certificates.published_keys()}, "certificate-keys.json")


def _found(token: str) -> Certificate:
    return get_object_or_404(Certificate.objects.select_related("order"), token=token)


def _language(request: HttpRequest) -> Language:
    """The language asked for (`?language=en`), else the page's."""
    return language_of(request.GET.get("language") or get_language() or settings.LANGUAGE_CODE)


def _drawn(content: bytes, kind: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, max-age=300"}
    return HttpResponse(content, content_type=kind, headers=headers)


def _json(content: dict[str, Any], name: str) -> JsonResponse:
    return JsonResponse(
        content,
        json_dumps_params={"ensure_ascii": False, "indent": 2},
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )
