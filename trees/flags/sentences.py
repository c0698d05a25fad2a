"""A flag's evidence as a sentence that a reviewer reads."""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from carbonsink.accounts.models import User
from trees.models import Division, Flag, Household

UNITS = {"m": "m", "km": "km", "cm": "cm", "min": "min", "h": "h", "s": "s", "percent": "%"}


def explain(flag: Flag) -> str:
    """What was found and with what figures, in one or two sentences. Names of places and people are looked up; personal
    data of households is never in it."""
    say = SENTENCES.get(flag.kind, _figures)
    try:
        return say(flag)
    except KeyError:  # Evidence of an earlier shape.
        return _figures(flag)


def _figures(flag: Flag) -> str:
    """The bare figures: {"distance_m": 0.4, "trees": 3} becomes "distance 0.4 m · trees 3"."""
    parts = []
    for name, value in flag.evidence.items():
        words, _line, unit = name.rpartition("_")
        known = bool(words) and unit in UNITS
        label = (words if known else name).replace("_", " ")
        parts.append(f"{label} {value} {UNITS[unit]}" if known else f"{label} {value}")
    return " · ".join(parts)


def _accuracy(metres: int | None) -> str:
    return _("unknown") if metres is None else _("%(m)s m") % {"m": metres}


def _number(flag: Flag) -> str:
    return flag.other_tree.number if flag.other_tree else "?"


def _too_close(flag: Flag) -> str:
    seen = flag.evidence
    return _(
        "%(m)s m from tree %(number)s of household %(household)s. Accuracy of the positions: here %(here)s,"
        " there %(there)s."
    ) % {
        "m": seen["distance_m"],
        "number": _number(flag),
        "household": flag.other_tree.household if flag.other_tree else "?",
        "here": _accuracy(seen["accuracy_m"]),
        "there": _accuracy(seen["other_accuracy_m"]),
    }


def _outside(flag: Flag) -> str:
    km = flag.evidence["distance_km"]
    if "boundary" not in flag.evidence:
        return _("%(km)s km from the middle of the village's other trees.") % {"km": km}
    division = Division.objects.filter(pk=flag.evidence["boundary"]).first()
    return _("%(km)s km outside %(place)s.") % {"km": km, "place": division or flag.evidence["boundary"]}


def _pace(flag: Flag) -> str:
    seen = flag.evidence
    if "seconds" in seen:
        return _("Recorded %(s)s seconds apart from tree %(number)s, which stands %(m)s m away.") % {
            "s": seen["seconds"],
            "number": _number(flag),
            "m": seen["distance_m"],
        }
    return _("One of %(trees)s trees that the officer recorded within an hour; %(most)s are thought possible.") % {
        "trees": seen["trees_in_hour"],
        "most": seen["most_per_hour"],
    }


def _oversize(flag: Flag) -> str:
    seen = flag.evidence
    if seen["of_species"]:
        text = _("DBH %(cm)s cm. The thickest of this species that is known of has %(largest)s cm.")
    else:
        text = _("DBH %(cm)s cm. Hardly any tree or bamboo is thicker than %(largest)s cm.")
    return text % {"cm": seen["dbh_cm"], "largest": seen["largest_cm"]}


def _over_limit(flag: Flag) -> str:
    return _("Tree number %(place)s of the household, which may have %(most)s.") % {
        "place": flag.evidence["place"],
        "most": flag.evidence["most_trees"],
    }


def _shared(text: str, flag: Flag) -> str:
    other = flag.other_household
    return text % {
        "household": other,
        "village": other.village if isinstance(other, Household) else "?",
        "count": flag.evidence["households"],
    }


def _shared_phone(flag: Flag) -> str:
    return _shared(
        _("Household %(household)s of %(village)s has the same mobile number; %(count)s households in all."), flag
    )


def _shared_account(flag: Flag) -> str:
    return _shared(
        _("Household %(household)s of %(village)s has the same account number; %(count)s households in all."), flag
    )


def _shared_id(flag: Flag) -> str:
    seen = flag.evidence
    return _("%(officer)s tried to register a household of %(village)s with this household's ID number.") % {
        "officer": User.objects.filter(pk=seen["officer"]).first() or "?",
        "village": Division.objects.filter(pk=seen["village"]).first() or seen["village"],
    }


def _not_mine(flag: Flag) -> str:
    return _("Somebody with the household's PIN said so on its page (case %(case)s). Ask the household.") % {
        "case": flag.evidence["case"]
    }


def _same_photo(flag: Flag) -> str:
    return _("The file is the same as that of tree %(number)s.") % {"number": _number(flag)}


def _near_photo(flag: Flag) -> str:
    seen = flag.evidence
    if seen["mirrored"]:
        text = _("Mirrored, %(points)s points are where the photo of tree %(number)s has them (%(percent)s %%).")
    else:
        text = _("%(points)s points are where the photo of tree %(number)s has them (%(percent)s %%).")
    return text % {"points": seen["points"], "number": _number(flag), "percent": seen["share_percent"]}


def _photo_time(flag: Flag) -> str:
    seen = flag.evidence
    return _("By the camera's clock it was taken on %(at)s, %(hours)s hours off what was recorded.") % {
        "at": date_format(timezone.localtime(datetime.fromisoformat(seen["taken_at"])), "SHORT_DATETIME_FORMAT"),
        "hours": seen["hours"],
    }


def _photo_place(flag: Flag) -> str:
    seen = flag.evidence
    return _("By the camera it was taken %(m)s m from the recorded position (accuracy %(accuracy)s).") % {
        "m": seen["distance_m"],
        "accuracy": _accuracy(seen["accuracy_m"]),
    }


SENTENCES: dict[str, Callable[[Flag], str]] = {
    Flag.Kind.SAME_PHOTO: _same_photo,
    Flag.Kind.NEAR_PHOTO: _near_photo,
    Flag.Kind.PHOTO_TIME: _photo_time,
    Flag.Kind.PHOTO_PLACE: _photo_place,
    Flag.Kind.TOO_CLOSE: _too_close,
    Flag.Kind.OUTSIDE_VILLAGE: _outside,
    Flag.Kind.PACE: _pace,
    Flag.Kind.OVERSIZE: _oversize,
    Flag.Kind.OVER_LIMIT: _over_limit,
    Flag.Kind.SHARED_PHONE: _shared_phone,
    Flag.Kind.SHARED_ACCOUNT: _shared_account,
    Flag.Kind.SHARED_ID: _shared_id,
    Flag.Kind.NOT_MINE: _not_mine,
}
