"""The reviewer's pages: villages, the contact sheet of many, one tree at the desk, second looks."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from carbonsink.accounts.models import signed_in
from carbonsink.accounts.roles import REVIEWER
from carbonsink.accounts.views import role_required
from carbonsink.errors import DomainError
from carbonsink.pages import form_page
from trees import desk, history, review, surroundings
from trees import second_looks as looks
from trees.flags import explain, open_flags, settle_household
from trees.forms import DecisionForm, HouseholdNoteForm, SecondLookForm
from trees.models import Division, Flag, Household, Review, SecondLook, Tree

ON_A_SHEET = 100
NUMBER = re.compile(r"[0-9]{1,19}")
# A tree on a contact sheet: its number, and the sight of it that was shown.
SEEN = re.compile(r"\b([0-9]{19}):([0-9-]+)")


@role_required(REVIEWER)
@require_safe
def villages(request: HttpRequest) -> HttpResponse:
    """The reviewer's villages with what waits there, and all flags of the page by kind."""
    page, following = desk.villages(signed_in(request), after=_code(request, "after"))
    kinds = sum((Counter(village.kinds) for village in page), Counter())
    return render(
        request,
        "trees/review_villages.html",
        {
            "villages": page,
            "following": following,
            "kinds": [(kind.value, kind.label, kinds[kind]) for kind in Flag.Kind if kinds[kind]],
            "looks_due": sum(village.second_looks for village in page),
            "counted_to": desk.COUNTED_TO,
        },
    )


def _queue(request: HttpRequest) -> desk.Queue:
    """The queue that the address names; what it does not know is left out of it."""
    only = request.GET.get("only", "")
    return desk.Queue(signed_in(request), _code(request, "in"), only if only in desk.KINDS else "")


def _code(request: HttpRequest, name: str) -> str:
    """A code or number in the address; "" for anything else."""
    found = request.GET.get(name, "")
    return found if NUMBER.fullmatch(found) else ""


def _address(tree: Tree, queue: desk.Queue) -> str:
    query = f"?{queue.query}" if queue.query else ""
    return reverse("trees:review-tree", args=[tree.number]) + query


@role_required(REVIEWER)
@require_safe
def next_tree(request: HttpRequest) -> HttpResponse:
    """Leads to the first tree of a queue."""
    queue = _queue(request)
    for tree in queue.trees(1):
        return redirect(_address(tree, queue))
    messages.success(request, _("No tree waits for a review there."))
    return redirect("trees:review")


def _seen_tree(request: HttpRequest, number: str) -> Tree:
    """The tree of this number, if the reviewer may see it; else 404."""
    trees = review.with_sight(Tree.objects.visible_to(request.user)).select_related(
        "species", "picture", "registered_by", "household__village", "household__programme"
    )
    return get_object_or_404(trees.prefetch_related("photos"), number=number)


@role_required(REVIEWER)
def review_tree(request: HttpRequest, number: str) -> HttpResponse:
    """One tree at the desk. A decision leads on to the next one; a refused one is said, and the tree stays."""
    tree, queue = _seen_tree(request, number), _queue(request)

    def act(data: dict[str, Any]) -> HttpResponse:
        _decide(tree, request, **data)
        messages.success(request, _said(tree, data["decision"], queue))
        if data["decision"] == Review.Decision.TAKEN_BACK:
            return redirect(_address(tree, queue))
        # At the end of the queue it goes on with those that were passed over.
        following = queue.trees(1, after=tree) or queue.trees(1)
        return redirect(_address(following[0], queue) if following else reverse("trees:review"))

    form = DecisionForm(request.POST or None)
    return form_page(request, form, "trees/review_tree.html", act, **_on_the_desk(tree, queue))


def _decide(tree: Tree, request: HttpRequest, *, decision: str, seen: str, reason: str, note: str) -> None:
    reviewer = signed_in(request)
    if decision == Review.Decision.APPROVED:
        review.approve_tree(tree, reviewer=reviewer, seen=seen or None)
    elif decision == Review.Decision.REJECTED:
        review.reject_tree(tree, reviewer=reviewer, reason=reason, note=note, seen=seen or None)
    else:
        review.take_back_approval(tree, reviewer=reviewer, reason=reason, note=note)


def _said(tree: Tree, decision: str, queue: desk.Queue) -> str:
    """What was done, with the way back to the tree."""
    sentence = {
        Review.Decision.APPROVED.value: _("Tree %(number)s is approved."),
        Review.Decision.REJECTED.value: _("Tree %(number)s went back to the officer."),
        Review.Decision.TAKEN_BACK.value: _("Tree %(number)s waits for a review again."),
    }[decision] % {"number": tree.number}
    if decision == Review.Decision.TAKEN_BACK:
        return sentence
    return format_html(
        '{} <a href="{}" data-key="u" data-desk>{}</a>', sentence, _address(tree, queue), _("Look at it once more")
    )


def _on_the_desk(tree: Tree, queue: desk.Queue, look: SecondLook | None = None) -> dict[str, Any]:
    """What the page of one tree shows beside its form."""
    previous, following = queue.position(tree) if look is None else (None, None)
    flags = [(flag, explain(flag), _metres(tree, flag)) for flag in open_flags(tree)]
    home = tree.household
    states = Counter(home.trees.values_list("state", flat=True))
    return {
        "tree": tree,
        "seen": review.sight(tree),
        "queue": queue,
        "previous": previous and _address(previous, queue),
        "following": following and _address(following, queue),
        "following_tree": following,
        "flags": flags,
        "others": [flag.other_tree for flag, _line, _metres in flags if flag.other_tree],
        "household_flagged": any(flag.tree_id is None for flag, _line, _metres in flags),
        "enrolled": sum(states[state] for state in review.IN_THE_SCHEME),
        "waiting": states[Tree.State.SUBMITTED],
        "events": history.history_of(tree),
        "look": look,
        "reasons": Review.Reason.choices,
    }


def _metres(tree: Tree, flag: Flag) -> float | None:
    return surroundings.distance_m(tree, flag.other_tree) if flag.other_tree else None


@role_required(REVIEWER)
@require_safe
def tree_map(request: HttpRequest, number: str) -> JsonResponse:
    """What the map of a tree draws."""
    return JsonResponse(surroundings.map_of(_seen_tree(request, number), signed_in(request)))


@role_required(REVIEWER)
@require_POST
def household_flags(request: HttpRequest, public_id: str) -> HttpResponse:
    """Settles a household's own flags with what was found out, and goes back to the tree."""
    household = get_object_or_404(Household.objects.visible_to(request.user), public_id=public_id)
    sent = HouseholdNoteForm(request.POST)
    sent.is_valid()  # What is missing is said by the service.
    tree = household.trees.filter(number=sent.cleaned_data.get("tree", "")).first()
    try:
        settle_household(household, by=signed_in(request), note=sent.cleaned_data.get("note", ""))
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("What you found out about the household is recorded."))
    return redirect(_address(tree, _queue(request)) if tree else reverse("trees:review"))


@role_required(REVIEWER)
def sheet(request: HttpRequest, code: str) -> HttpResponse:
    """The clean trees of a village, many at once: what is not set aside is approved by one press."""
    user = signed_in(request)
    village = get_object_or_404(Division, code=code, level=Division.Level.VILLAGE)
    if not Household.objects.visible_to(user).filter(village=village).exists():
        raise Http404
    queue, number = desk.Queue(user, code, desk.CLEAN), _code(request, "after")
    after = Tree.objects.visible_to(user).filter(number=number, household__village=village).first()

    def act(data: dict[str, Any]) -> HttpResponse:
        views = dict(SEEN.findall(" ".join(request.POST.getlist("shown"))))
        aside = set(request.POST.getlist("aside"))
        approving = data["decision"] == Review.Decision.APPROVED
        chosen = {number: view for number, view in views.items() if (number in aside) != approving}
        _say_what_became(request, _decide_many(user, chosen, data))
        # After an approval the next sheet begins behind this one, so that what was set aside does not come again.
        begin = next(reversed(views), "") if approving else number
        return redirect(f"{request.path}?after={begin}" if begin else request.path)

    form = DecisionForm(request.POST or None)
    trees = queue.trees(ON_A_SHEET, after=after)
    context = {"village": village, "trees": trees, "after": after, "reasons": Review.Reason.choices}
    for tree in trees:
        tree.view = review.sight(tree)
    return form_page(request, form, "trees/review_sheet.html", act, **context)


def _decide_many(user: Any, views: dict[str, str], data: dict[str, Any]) -> review.Told:
    """Decides about the trees of these numbers; DomainError 404 when one of them is not the reviewer's to see."""
    found = desk.numbered(user, views)
    if len(found) != len(views):
        raise DomainError("unknown_tree", _("One of these trees is not in your area. Reload the page."), 404)
    ids = [tree.pk for tree in found]
    if not ids:
        raise DomainError("nothing_chosen", _("No tree is chosen."))
    if data["decision"] == Review.Decision.APPROVED:
        return review.approve_trees(ids, reviewer=user, views=views)
    return review.reject_trees(ids, reviewer=user, reason=data["reason"], note=data["note"], views=views)


def _say_what_became(request: HttpRequest, told: review.Told) -> None:
    """One sentence for all that went well, and one for each reason why others did not, with their numbers."""
    if told.done:
        count = len(told.done)
        messages.success(
            request, ngettext("%(count)s tree is decided.", "%(count)s trees are decided.", count) % {"count": count}
        )
    reasons: dict[str, list[str]] = defaultdict(list)
    for number, error in told.refused.items():
        reasons[error.message].append(number)
    for sentence, numbers in reasons.items():
        messages.error(request, format_html("{} {}", sentence, _links(numbers)))


def _links(numbers: Iterable[str]) -> str:
    return format_html_join(
        " ", '<a href="{}">{}</a>', ((reverse("trees:review-tree", args=[number]), number) for number in numbers)
    )


@role_required(REVIEWER)
@require_safe
def second_looks(request: HttpRequest) -> HttpResponse:
    """The second looks this reviewer may take, oldest first."""
    due = looks.due(signed_in(request)).select_related(
        "tree__species", "tree__picture", "tree__household__village", "first_reviewer", "review"
    )
    return render(request, "trees/review_second_looks.html", {"looks": due[:ON_A_SHEET]})


@role_required(REVIEWER)
def second_look(request: HttpRequest, pk: int) -> HttpResponse:
    """A drawn approval at the desk of another reviewer; the verdict leads on to the next one."""
    user = signed_in(request)
    mine = SecondLook.objects.filter(tree__household__in=Household.objects.visible_to(user))
    look = get_object_or_404(mine if request.method == "POST" else looks.due(user), pk=pk)
    tree = _seen_tree(request, look.tree.number)

    def act(data: dict[str, Any]) -> HttpResponse:
        looks.take_second_look(look, reviewer=user, **data)
        messages.success(request, _("The second look at tree %(number)s is recorded.") % {"number": tree.number})
        following = looks.due(user).first()
        return redirect("trees:second-look", following.pk) if following else redirect("trees:second-looks")

    form: Form = SecondLookForm(request.POST or None)
    return form_page(request, form, "trees/review_tree.html", act, **_on_the_desk(tree, desk.Queue(user), look))
