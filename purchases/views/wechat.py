"""How a page inside WeChat learns who pays: the official account's OAuth. The openid stays in the session."""

import secrets
import time

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from carbonsink.errors import DomainError
from purchases.gateways import is_offered
from purchases.gateways.base import GatewayError
from purchases.gateways.wechatpay import oauth

# How long the way to WeChat and back may take.
STATE_SECONDS = 600


@never_cache
@require_GET
def openid(request: HttpRequest) -> HttpResponse:
    """Sends the browser to WeChat, from where it comes back to `next`, a page of ours."""
    if not is_offered("wechatpay", "jsapi"):
        raise Http404
    state = secrets.token_urlsafe(32)
    request.session["wechat_state"] = {
        "state": state,
        "next": _own_path(request.GET.get("next", "")),
        "at": time.time(),
    }
    back = settings.PUBLIC_BASE_URL + reverse("purchases:wechat-openid-back")
    return redirect(oauth.authorize_url(back=back, state=state))


@never_cache
@require_GET
def openid_back(request: HttpRequest) -> HttpResponse:
    """Where WeChat sends the browser back. The state is this session's own, young, and good for one time."""
    if not is_offered("wechatpay", "jsapi"):
        raise Http404
    kept = request.session.pop("wechat_state", None)
    given = request.GET.get("state", "")
    if (
        kept is None
        or not secrets.compare_digest(kept["state"].encode(), given.encode())
        or time.time() - kept["at"] > STATE_SECONDS
    ):
        raise DomainError("wechat_state", _("This link is used up. Open your order again in WeChat."), 400)
    try:
        request.session["wechat_openid"] = oauth.exchange(request.GET.get("code", ""))
    except GatewayError as error:
        message = _("WeChat did not say who you are. Open your order again, or choose another way of paying.")
        raise DomainError("wechat_silent", message, 503) from error
    return redirect(kept["next"])


def _own_path(path: str) -> str:
    if path.startswith("/") and url_has_allowed_host_and_scheme(path, allowed_hosts=None):
        return path
    return reverse("purchases:home")
