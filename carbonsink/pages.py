"""What pages share: the form page, and the address a request comes from."""

import ipaddress
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from carbonsink.errors import DomainError


def form_page(
    request: HttpRequest,
    form: BaseForm,
    template: str,
    act: Callable[[dict[str, Any]], HttpResponse],
    **context: Any,
) -> HttpResponse:
    """Shows a form, and acts on it when it is sent and valid. What `act` refuses is said above the form (4xx)."""
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                return act(form.cleaned_data)
            except DomainError as error:
                form.add_error(None, error.message)
                status = error.status
    return render(request, template, {"form": form, **context}, status=status)


def client_address(request: HttpRequest) -> str:
    """The network a request comes from: an IPv4 address, or the /64 of an IPv6 one, since that is what one line has.

    Behind a proxy it is the address that proxy saw.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(getattr(known, "ipv4_mapped", None) or known)
