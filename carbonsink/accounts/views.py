"""Signing in, and who may open which page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from carbonsink.accounts import roles
from carbonsink.accounts.forms import SignInForm

View = Callable[..., HttpResponse]
HOMES = {roles.OFFICER: "trees:officer", roles.REVIEWER: "trees:review", roles.FINANCE: "purchases:finance-transfers"}


def role_required(*wanted: str) -> Callable[[View], View]:
    """Sends strangers to the sign-in page; for users without one of the roles the page does not exist (404)."""

    def decorate(view: View) -> View:
        @wraps(view)
        @login_required
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.has_role(*wanted):  # type: ignore[union-attr]
                raise Http404
            return view(request, *args, **kwargs)

        return guarded

    return decorate


class SignInView(LoginView):
    """The sign-in page."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@login_required
def after_sign_in(request: HttpRequest) -> HttpResponse:
    """Sends everyone to the page where their work begins."""
    for role, home in HOMES.items():
        if request.user.has_role(role):  # type: ignore[union-attr]
            return redirect(home)
    return redirect("admin:index" if request.user.is_staff else "purchases:portfolio")  # type: ignore[union-attr]
