"""Finance's page of files to and from banks: to carry them where no machine does, and to see what became of them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import FINANCE
from carbonsink.accounts.views import role_required
from carbonsink.pages import form_page
from payouts import batches, whole_files
from payouts.banks import by_file, file_bank
from payouts.models import Attempt, BankReport, Batch, Download
from payouts.office_words import channel_name
from payouts.statements import Outcome

SHOWN = 20


class BankFileForm(forms.Form):
    """A file that a bank gave back."""

    bank = forms.ChoiceField(
        label=gettext_lazy("Bank it comes from"),
        choices=lambda: [(code, channel_name(code)) for code in by_file()],
    )
    file = forms.FileField(
        label=gettext_lazy("File from the bank"),
        help_text=gettext_lazy("A result file, pain.002, camt.053 or camt.054, as the bank gives it."),
    )


@role_required(FINANCE)
def files(request: HttpRequest) -> HttpResponse:
    """The files that went and are to go, those that came, and the form that takes one in."""

    def act(data: dict[str, Any]) -> HttpResponse:
        outcome = batches.read_file(data["bank"], data["file"].name, data["file"].read(), by=signed_in(request))
        messages.success(request, _told(outcome))
        return redirect("payouts:finance-files")

    form = BankFileForm(request.POST or None, request.FILES or None)
    return form_page(request, form, "finance/files.html", act, **_shown())


def _shown() -> dict[str, Any]:
    states = Attempt.State
    counted = (
        Batch.objects.defer("content")
        .prefetch_related("downloads__by")
        .annotate(
            arrived=Count("attempts", Q(attempts__state=states.SUCCEEDED)),
            failed=Count("attempts", Q(attempts__state=states.FAILED)),
            accepted=Count("attempts", Q(attempts__state=states.ACCEPTED)),
            silent=Count("attempts", Q(attempts__state__in=[states.SENDING, states.UNKNOWN])),
        )
    )
    by_machine = [code for code in by_file() if file_bank(code).out_dir]
    by_itself = Q(bank__in=by_machine) & ~Q(pk__in=Download.objects.values("batch"))
    written = counted.filter(state=Batch.State.WRITTEN).order_by("pk")
    gone = counted.exclude(state=Batch.State.WRITTEN).order_by("-pk")[:SHOWN]
    debited = {one.batch_id: one for code in by_file() for one in whole_files.standings(code)}
    return {
        "to_carry": written.exclude(by_itself),
        "waiting": written.filter(by_itself),
        "gone": [(batch, debited.get(batch.pk)) for batch in gone],
        "reports": BankReport.objects.select_related("read_by").defer("content").order_by("-pk")[:SHOWN],
    }


def _told(outcome: Outcome) -> str:
    """What came of an uploaded file, in a sentence."""
    if outcome.known:
        return _("This file had been read before. Nothing changed.")
    sentence = _("%(accepted)s accepted, %(arrived)s arrived, %(failed)s failed, %(unknown)s unknown.")
    parts = [sentence % vars(outcome)]
    if outcome.unchanged:
        parts.append(_("%(unchanged)s were known already.") % vars(outcome))
    if outcome.booked:
        parts.append(_("%(booked)s new rows of the statement are booked.") % vars(outcome))
    if outcome.doubtful:
        parts.append(_("%(doubtful)s contradict what we know: see the alerts.") % vars(outcome))
    return " ".join(parts)


@role_required(FINANCE)
@require_POST
def download(request: HttpRequest, number: str) -> HttpResponse:
    """A file for the bank, to carry it there; that it was taken is kept."""
    batch = get_object_or_404(Batch, number=number)
    content = batches.download(batch, by=signed_in(request))
    headers = {"Content-Disposition": f'attachment; filename="{batch.name}"', "Cache-Control": "no-store"}
    return HttpResponse(content, content_type="application/octet-stream", headers=headers)


@role_required(FINANCE)
@require_POST
def delivered(request: HttpRequest, number: str) -> HttpResponse:
    """Somebody has handed a file over."""
    batches.say_delivered(get_object_or_404(Batch, number=number), by=signed_in(request))
    messages.success(request, _("Noted. Upload here what the bank gives back."))
    return redirect("payouts:finance-files")
