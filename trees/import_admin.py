"""Loading files in the admin: upload, say which column is which, look at what would be stored, confirm."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from carbonsink.accounts.models import signed_in
from carbonsink.admin import ReadOnlyMixin
from carbonsink.errors import DomainError
from trees.imports import loading, reports, uploads
from trees.imports.kinds import kind_of
from trees.models import Import

PROBLEMS_SHOWN = 100


class UploadForm(forms.Form):
    """A file, and what it holds."""

    kind = forms.ChoiceField(label=_("It holds"), choices=Import.Kind.choices, widget=UnfoldAdminSelectWidget)
    file = forms.FileField(label=_("CSV or XLSX"), widget=UnfoldAdminFileFieldWidget)


class MappingForm(forms.Form):
    """Which column of the file is which of ours."""

    def __init__(self, batch: Import, found: uploads.Preview, data: Any = None) -> None:
        super().__init__(data)
        choices = [("", gettext("— not in the file —")), *((name, name) for name in found.heading.names if name)]
        for column in kind_of(batch).columns:
            self.fields[column.name] = forms.ChoiceField(
                label=str(column.label),
                choices=choices,
                required=column.required,
                initial=found.heading.mapping.get(column.name, ""),
                widget=UnfoldAdminSelectWidget,
            )


class ImportAdmin(ReadOnlyMixin, ModelAdmin):
    list_display = ["file_name", "kind", "state", "rows_read", "rows_wrong", "rows_stored", "imported_by", "begun_at"]
    list_filter = ["kind", "state"]
    list_select_related = ["imported_by"]

    def has_add_permission(self, *args: object) -> bool:
        """Who may add imports, may load files."""
        return bool(super(ReadOnlyMixin, self).has_add_permission(*args))

    def get_urls(self) -> list[URLPattern]:
        report = path("<int:pk>/report.csv", self.admin_site.admin_view(self.report), name="trees_import_report")
        return [report, *super().get_urls()]

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The upload."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None)
        if form.is_valid():
            file, kind = form.cleaned_data["file"], Import.Kind(form.cleaned_data["kind"])
            try:
                batch = uploads.accept_upload(kind, file.read(), file.name, by=signed_in(request))
                return HttpResponseRedirect(self.address(batch))
            except DomainError as error:
                form.add_error("file", error.message)
        return self.page(request, "upload", gettext("Load a file"), form=form)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """An import where it stands, and what can be done with it next."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        batch = get_object_or_404(Import, pk=int(object_id) if object_id.isdecimal() else 0)
        if request.method == "POST":
            try:
                self.act(request, batch)
            except DomainError as error:
                messages.error(request, error.message)
            return HttpResponseRedirect(self.address(batch))
        return self.page(request, "import", batch.file_name, **self.situation(batch))

    def act(self, request: HttpRequest, batch: Import) -> None:
        """What a button asks for. DomainError when it cannot be."""
        wish = request.POST.get("do")
        if wish == "cancel":
            uploads.cancel_upload(batch, by=signed_in(request))
            return
        # What is stored counts as the work of whoever began it, and they alone cannot approve it.
        if batch.imported_by_id != signed_in(request).pk:
            raise loading.import_of_another(batch)
        if wish == "check" and batch.state == Import.State.STAGING:
            uploads.map_columns(batch, {name: str(value) for name, value in request.POST.items()})
            uploads.ask_to_check(batch)
        elif wish == "check":
            uploads.ask_to_check(batch)
        elif wish in ("store", "store-partial"):
            uploads.ask_to_store(batch, partial=wish == "store-partial")

    def situation(self, batch: Import) -> dict[str, Any]:
        """What the page shows: a task at work, the mapping, or what the check found."""
        shown: dict[str, Any] = {"batch": batch, "progress": uploads.progress(batch)}
        shown["busy"] = bool(shown["progress"]) and not shown["progress"]["said"]
        shown["percent"] = round(100 * shown["progress"].get("part", 0))
        if batch.state == Import.State.STAGING and not shown["busy"]:
            try:
                found = uploads.preview(batch)
            except DomainError as error:
                return {**shown, "said": error.message}
            shown["form"] = MappingForm(batch, found)
            shown["sample"] = {
                "headers": [gettext("line"), *found.heading.names],
                "rows": [[line, *cells] for line, cells in found.rows],
            }
        if batch.rows_wrong:
            shown["summary"] = self.summary(batch)
            shown["problems"] = self.problems(batch)
        good = batch.rows_read - batch.rows_wrong
        shown["good"] = ngettext("%(count)s row is fine", "%(count)s rows are fine", good) % {"count": good}
        shown["is_fine"] = not batch.rows_wrong
        return shown

    @staticmethod
    def summary(batch: Import) -> dict[str, Any]:
        return {
            "headers": [gettext("rows"), gettext("column"), gettext("reason"), gettext("first lines")],
            "rows": [
                [found.rows, found.column, found.reason, ", ".join(map(str, found.lines))]
                for found in reports.summary(batch)
            ],
        }

    @staticmethod
    def problems(batch: Import) -> dict[str, Any]:
        first = batch.problems.order_by("line", "column")[:PROBLEMS_SHOWN]
        return {
            "headers": [gettext("line"), gettext("column"), gettext("value"), gettext("reason")],
            "rows": [
                [one.line, reports.heading_of(batch, one.column), one.value, reports.reason_of(one)] for one in first
            ],
        }

    def report(self, request: HttpRequest, pk: int) -> HttpResponse:
        """All problems as CSV."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        batch = get_object_or_404(Import, pk=pk)
        answer = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="import-{pk}-report.csv"'
        reports.write_report(batch, answer)  # type: ignore[arg-type]
        return answer

    @staticmethod
    def address(batch: Import) -> str:
        return reverse("admin:trees_import_change", args=[batch.pk])

    def page(self, request: HttpRequest, name: str, title: str, **shown: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.model._meta, "title": title, **shown}
        return TemplateResponse(request, f"admin/trees/import/{name}.html", context)
