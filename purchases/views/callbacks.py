"""What the gateways call."""

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from purchases import payments
from purchases.gateways import gateway as gateway_of
from purchases.gateways.base import NotificationRefused

log = structlog.get_logger(__name__)


@csrf_exempt
@require_POST
def notification(request: HttpRequest, gateway: str) -> HttpResponse:
    """A gateway's callback, answered in its own words. 200 once it is in the books; 401 for one not authentic."""
    if gateway not in settings.PAYMENT_GATEWAYS:
        raise Http404
    adapter = gateway_of(gateway)
    try:
        payments.receive_notification(gateway, dict(request.headers), request.body)
    except NotificationRefused as error:
        log.warning("notification_refused", gateway=gateway, why=str(error))
        return HttpResponse(adapter.refused, content_type=adapter.answer_type, status=401)
    return HttpResponse(adapter.accepted, content_type=adapter.answer_type)
