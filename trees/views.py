"""Pages of the registry: the officer's, and public pictures. The reviewer's are in `trees.desk_views`."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Prefetch
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import OFFICER, REVIEWER
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from carbonsink.pages import form_page
from trees import corrections, day, photos, registration, shell
from trees import tags as tag_sheets
from trees.forms import CorrectionForm, HouseholdForm, TagsForm, TreeForm
from trees.models import Household, Review, Tree

NEWEST_REVIEW_FIRST = Prefetch("reviews", Review.objects.order_by("-pk"))


@role_required(OFFICER)
def officer(request: HttpRequest) -> HttpResponse:
    """The officer's households, newest first, with how far their trees are."""
    households = day.households_of(signed_in(request)).select_related("village")[:100]
    return render(request, "trees/officer.html", {"households": households})


@role_required(OFFICER)
def new_household(request: HttpRequest) -> HttpResponse:
    """Registers a household."""

    def act(data: dict[str, Any]) -> HttpResponse:
        village = data.pop("village")
        household = registration.register_household(officer=signed_in(request), village_code=village.code, **data)
        messages.success(request, _("The household is registered. Add its bank account and its trees."))
        return redirect("trees:household", household.public_id)

    form = HouseholdForm(request.POST or None, officer=signed_in(request))
    return form_page(request, form, "trees/household_form.html", act, consent_text=form.consent_text)


@role_required(OFFICER, REVIEWER)
def household(request: HttpRequest, public_id: str) -> HttpResponse:
    """A household with its trees, as its officer and reviewer see it."""
    found = get_object_or_404(Household.objects.visible_to(request.user).select_related("village"), public_id=public_id)
    trees = found.trees.select_related("species", "picture").prefetch_related("photos", NEWEST_REVIEW_FIRST)
    context = {"household": found, "trees": trees.order_by("ordinal"), "tags": TagsForm()}
    return render(request, "trees/household.html", context)


@role_required(OFFICER)
def new_tree(request: HttpRequest, public_id: str) -> HttpResponse:
    """Registers a tree with its photo: both or neither."""
    found = get_object_or_404(Household.objects.visible_to(request.user), public_id=public_id)

    def act(data: dict[str, Any]) -> HttpResponse:
        photo = data.pop("photo")
        with transaction.atomic():  # A trial: a tree that cannot be registered leaves no photo behind.
            registration.register_tree(officer=signed_in(request), household=found, **data)
            transaction.set_rollback(True)
        original = photos.keep_original(photo)  # The store may be far away: no lock is held meanwhile.
        with transaction.atomic():
            tree = registration.register_tree(officer=signed_in(request), household=found, **data)
            photos.add_photo(tree, original, officer=signed_in(request))
        messages.success(request, _("Tree %(number)s is registered.") % {"number": tree.number})
        return redirect("trees:new-tree", found.public_id)

    newest = found.trees.order_by("-ordinal").first()
    remembered = {"species": newest.species_id, "planted_year": newest.planted_year} if newest else {}
    form = TreeForm(request.POST or None, request.FILES or None, initial=remembered)
    return form_page(request, form, "trees/tree_form.html", act, household=found)


@role_required(OFFICER)
def correct_tree(request: HttpRequest, number: str) -> HttpResponse:
    """Corrects a tree in its place, with another photo if one is sent: both or neither."""
    trees = Tree.objects.visible_to(request.user).select_related("species", "household", "picture")
    found = get_object_or_404(trees.prefetch_related("photos", NEWEST_REVIEW_FIRST), number=number)

    @transaction.atomic
    def act(data: dict[str, Any]) -> HttpResponse:
        photo = data.pop("photo")
        tree = corrections.correct_tree(found, officer=signed_in(request), **data)
        if photo:
            photos.take_photo(tree, photo, officer=signed_in(request))
        messages.success(request, _("Tree %(number)s is corrected.") % {"number": tree.number})
        return redirect("trees:household", tree.household.public_id)

    form = CorrectionForm(request.POST or None, request.FILES or None, initial=corrections.recorded(found))
    return form_page(request, form, "trees/correction_form.html", act, tree=found)


@role_required(OFFICER)
@require_safe
def tags(request: HttpRequest, public_id: str) -> HttpResponse:
    """The tags of a household's trees, as a PDF to be printed."""
    found = get_object_or_404(Household.objects.visible_to(request.user).select_related("village"), public_id=public_id)
    form = TagsForm({"size": "medium", **request.GET.dict()})
    if not form.is_valid():
        raise DomainError("invalid", _("Choose the size small, medium or large, and trees from 1 to 999."))
    asked = {name: value for name, value in form.cleaned_data.items() if value}
    name = f"tags-{found}-{asked['size']}.pdf"
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(tag_sheets.tags_pdf(found, **asked), content_type="application/pdf", headers=headers)


@require_safe
def picture(request: HttpRequest, name: str) -> HttpResponseBase:
    """A public picture. Its name is random and its content never changes. A missing one shows a placeholder (404)."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    # Pictures made before there were WebP ones are JPEGs only.
    for found in (name, name.replace(".webp", ".jpg")):
        with suppress(FileNotFoundError):
            kind = "image/webp" if found.endswith(".webp") else "image/jpeg"
            return FileResponse(default_storage.open(f"trees/{found}"), content_type=kind, headers=headers)
    placeholder = (settings.BASE_DIR / "static/img/no-picture.svg").read_bytes()
    return HttpResponse(placeholder, "image/svg+xml", status=404, headers=headers | {"Cache-Control": "no-store"})


def _language(request: HttpRequest) -> str:
    """The language a phone asks for by name, since browsers fetch workers without telling; else the visitor's."""
    wanted = request.GET.get("language", "")
    return wanted if wanted in dict(settings.LANGUAGES) else get_language() or settings.LANGUAGE_CODE


@role_required(OFFICER)
def field(request: HttpRequest) -> HttpResponse:
    """The officer's field app: one page, which works without reception once it was loaded."""
    with override(_language(request)):
        return HttpResponse(shell.page(), headers={"Cache-Control": "no-cache"})


@require_safe
def field_worker(request: HttpRequest) -> HttpResponse:
    """The field app's service worker. Nothing in it is secret: a phone asks for it also while nobody is signed in."""
    with override(_language(request)):
        script = shell.worker(module="module" in request.GET)
    return HttpResponse(script, content_type="text/javascript", headers={"Cache-Control": "no-cache"})


@require_safe
def field_manifest(request: HttpRequest) -> HttpResponse:
    """What a phone needs to know to install the field app."""
    return JsonResponse(shell.manifest(), content_type="application/manifest+json")
