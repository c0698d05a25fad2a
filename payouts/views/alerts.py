"""Finance's page of alerts: what is open, what it means and what to do, and the answer that closes one."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.states import StateChange
from payouts import alerts
from payouts.alert_kinds import kind_of
from payouts.models import Alert

SHOWN = 100


@role_required(FINANCE)
@require_safe
def alerts_page(request: HttpRequest) -> HttpResponse:
    """The open alerts, oldest first, and the ones closed last."""
    context = {
        "open": [_shown(alert) for alert in alerts.open_alerts()[:SHOWN]],
        "closed": _closed(),
        "stopped": alerts.stopping().exists(),
    }
    return render(request, "finance/alerts.html", context)


def _shown(alert: Alert) -> dict[str, Any]:
    kind = kind_of(alert.kind)
    return {"alert": alert, "kind": kind, "link": kind.link(alert.about) if kind.link else ""}


def _closed() -> list[dict[str, Any]]:
    thing = Alert._meta.label_lower
    changes = list(StateChange.objects.filter(thing=thing).select_related("by").order_by("-at", "-pk")[:10])
    known = Alert.objects.filter(state=Alert.State.CLOSED).in_bulk([change.object_id for change in changes])
    return [{**_shown(known[change.object_id]), "change": change} for change in changes if change.object_id in known]


@role_required(FINANCE)
@require_POST
def answer_alert(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes an alert with what a person found out."""
    alerts.answer(get_object_or_404(Alert, pk=pk), text=request.POST.get("answer", ""), by=signed_in(request))
    messages.success(request, _("Closed."))
    return redirect("payouts:alerts")
