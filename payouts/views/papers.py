"""Papers of a village for who prints them: statements of all households, and the notice board's sheet."""

import io
from collections.abc import Callable
from typing import IO, Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from carbonsink.accounts.models import User, signed_in
from carbonsink.accounts.roles import OFFICER, REVIEWER
from carbonsink.accounts.views import role_required
from payouts.papers import Month, notice_pdf, statements_pdf
from payouts.papers.months import newest_months
from trees.models import Division, Household

MONTHS = 12


def _villages(user: User) -> list[Division]:
    """The villages with households that somebody may see."""
    codes = Household.objects.visible_to(user).values("village")
    return list(Division.objects.filter(code__in=codes).order_by("code"))


@role_required(OFFICER, REVIEWER)
@require_safe
@never_cache
def papers(request: HttpRequest) -> HttpResponse:
    """The villages of an officer or a reviewer, with what can be printed for each month."""
    month = Month.named(request.GET.get("month", ""))
    context = {"villages": _villages(signed_in(request)), "month": month, "months": newest_months(MONTHS)}
    return render(request, "payouts/papers.html", context)


def _paper(
    request: HttpRequest, code: str, name: str, write: Callable[[Division, Month, IO[bytes]], int]
) -> HttpResponse:
    """A paper of one village; one of another area does not exist."""
    mine = Household.objects.visible_to(request.user).filter(village=code)
    village = get_object_or_404(Division, code=code, level=Division.Level.VILLAGE, pk__in=mine.values("village"))
    month = Month.named(request.GET.get("month", ""))
    file = io.BytesIO()  # 3 MB for 450 households.
    write(village, month, file)
    file.seek(0)
    answer: Any = FileResponse(file, content_type="application/pdf", filename=f"{name}-{code}-{month.first:%Y-%m}.pdf")
    answer["Cache-Control"] = "private, no-store"
    return answer


@role_required(OFFICER, REVIEWER)
@require_safe
def statements(request: HttpRequest, code: str) -> HttpResponse:
    """The month's statements of all households of a village, in their order."""
    return _paper(request, code, "statements", statements_pdf)


@role_required(OFFICER, REVIEWER)
@require_safe
def notice(request: HttpRequest, code: str) -> HttpResponse:
    """The month's sheet for a village's notice board."""
    return _paper(request, code, "notice", notice_pdf)
