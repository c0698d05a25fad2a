"""Campaigns: the list, a campaign's page with its order form, its poster, and the application."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from carbonsink import qr
from carbonsink.accounts.models import User
from carbonsink.pages import client_address, form_page
from purchases import campaign_drawing, campaigns, vintages
from purchases.campaign_forms import CampaignForm
from purchases.models import Campaign
from purchases.views.choosing import _order_page

SHOWN = 50


@require_safe
def campaign_list(request: HttpRequest) -> HttpResponse:
    """The campaigns that sell today, and the newest of those that come or are over."""
    now = list(campaigns.running()[:SHOWN])
    others = campaigns.public().exclude(pk__in=[row.pk for row in now]).order_by("-ends_on", "-pk")[:SHOWN]
    today = timezone.localdate()
    coming = [row for row in others if row.state == Campaign.State.RUNNING and row.begins_on > today]
    over = [row for row in others if row not in coming]
    return render(request, "purchases/campaigns.html", {"running": now, "coming": coming, "over": over})


def campaign(request: HttpRequest, slug: str) -> HttpResponse:
    """A campaign: whose, what for, how far it is, and the form to buy with it."""
    found = _campaign(slug)
    tariff = vintages.current_tariff()
    return _order_page(
        request,
        "purchases/campaign.html",
        tariff,
        {"campaign": found},
        campaign=found,
        progress=campaigns.progress(found),
        is_open=found.is_open,
        is_coming=found.state == Campaign.State.RUNNING and found.begins_on > timezone.localdate(),
        unsold=vintages.unsold(tariff.vintage, found.area.prefix if found.area else "") if tariff else 0,
        address=campaign_drawing.address(found),
        image=settings.PUBLIC_BASE_URL + reverse("purchases:campaign-image", args=[found.slug]),
    )


def _campaign(slug: str) -> Campaign:
    return get_object_or_404(campaigns.public(), slug=slug)


@require_safe
def campaign_qr(request: HttpRequest, slug: str) -> HttpResponse:
    """The QR code of a campaign's page."""
    return qr.response(campaign_drawing.address(_campaign(slug)))


@require_safe
def poster(request: HttpRequest, slug: str) -> HttpResponse:
    """A campaign's poster, to be printed."""
    found = _campaign(slug)
    headers = {"Content-Disposition": f'inline; filename="{found.slug}.pdf"'}
    content = campaign_drawing.poster_pdf(found, vintages.current_tariff())
    return HttpResponse(content, content_type="application/pdf", headers=headers)


@require_safe
def share_image(request: HttpRequest, slug: str) -> HttpResponse:
    """The picture that goes with a campaign's address where people share it."""
    found = _campaign(slug)
    content = campaign_drawing.share_png(found, campaigns.progress(found))
    return HttpResponse(content, content_type="image/png", headers={"Cache-Control": "public, max-age=300"})


def new_campaign(request: HttpRequest) -> HttpResponse:
    """The application for a campaign."""

    def act(data: dict[str, Any]) -> HttpResponse:
        trap = data.pop("website")
        if not trap:
            user = request.user if isinstance(request.user, User) else None
            campaigns.apply_for_campaign(**data, address=client_address(request), user=user)
        messages.success(request, _("Thank you. The office reads your application and answers you in a few days."))
        return redirect("purchases:campaigns")

    return form_page(request, CampaignForm(request.POST or None), "purchases/campaign_new.html", act)
