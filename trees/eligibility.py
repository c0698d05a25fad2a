"""May this tree be taken? DBH or age enough, by the programme's rules."""

from datetime import date
from decimal import Decimal

from django.utils.translation import gettext as _

from carbonsink.errors import DomainError
from trees.models import Programme

LARGEST_DBH_CM = 500  # As the table of trees has it; no living tree is known to be thicker than 12 m.


def check_dbh(dbh_cm: Decimal | None) -> None:
    """Raises DomainError("not_eligible") when no tree has this DBH (cm)."""
    if dbh_cm is not None and not 0 < dbh_cm < LARGEST_DBH_CM:
        raise DomainError("not_eligible", _("The DBH must be more than 0 and less than 500 cm. Measure it again."))


def check_eligible(programme: Programme, dbh_cm: Decimal | None, planted_year: int | None, measured_on: date) -> None:
    """Raises DomainError("not_eligible") unless DBH (cm) or age (years on the day of measuring) is enough."""
    check_dbh(dbh_cm)
    age = measured_on.year - planted_year if planted_year is not None else None
    if age is not None and age < 0:
        raise DomainError("not_eligible", _("The tree was measured before it was planted. Correct one of the years."))
    if programme.max_dbh_cm is not None and dbh_cm is not None and dbh_cm > programme.max_dbh_cm:
        raise DomainError(
            "not_eligible",
            _("The tree is too thick for this programme: its DBH may be at most %(cm)s cm.")
            % {"cm": programme.max_dbh_cm},
        )
    thick_enough = dbh_cm is not None and dbh_cm >= programme.min_dbh_cm
    old_enough = age is not None and age >= programme.min_age_years
    if not (thick_enough or old_enough):
        raise DomainError(
            "not_eligible",
            _("The tree is too young and too thin: it needs a DBH of %(cm)s cm or an age of %(years)s years.")
            % {"cm": programme.min_dbh_cm, "years": programme.min_age_years},
        )
