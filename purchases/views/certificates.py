"""A certificate and its check."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from carbonsink import qr
from purchases import certificates, proceeds, replacements
from purchases.models import Certificate
from trees.models import Tree


@require_safe
def certificate(request: HttpRequest, token: str) -> HttpResponse:
    """A certificate and its check: what was signed, whether the signature fits, and what the register says now."""
    found = get_object_or_404(Certificate.objects.select_related("order"), token=token)
    shown = Tree.objects.filter(sinks__certificate=found).select_related("species", "household__village", "picture")
    context = {
        "certificate": found,
        "genuine": certificates.is_genuine(found),
        "payload": certificates.payload(found).decode(),
        "public_key": certificates.public_key_text(),
        "trees": shown.order_by("number")[:60],
        "proceeds": proceeds.proceeds(found.order),
        "releases": replacements.told(found.order),
        "successor": found.successors.first(),
    }
    return render(request, "purchases/certificate.html", context)


@require_safe
def certificate_qr(request: HttpRequest, token: str) -> HttpResponse:
    """The QR code that leads to the check of a certificate."""
    found = get_object_or_404(Certificate, token=token)
    return qr.response(settings.PUBLIC_BASE_URL + reverse("purchases:certificate", args=[found.token]))
