"""Why a row of a file is refused, in the same sentences as at the officer's door where the rule is the same."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

REASONS: dict[str, str | Promise] = {
    # What a cell holds.
    "missing": _("This value is missing. Fill it in."),
    "formula": _("This is a formula without a value. Open the file in Excel, let it compute, and save it again."),
    "not_a_number": _("This is not a number. Write digits only, such as 7.5."),
    "ambiguous_number": _(
        "This number can be read in two ways. Write it without thousands separators, such as 1234.5."
    ),
    "not_a_whole_number": _("This must be a whole number."),
    "not_a_date": _("This is not a date. Write it like 2026-03-05."),
    "too_long": _("This has more than %(most)s characters. Shorten it."),
    "out_of_range": _("This must lie between %(least)s and %(most)s."),
    "not_a_choice": _("This is not among the possible values: %(choices)s."),
    "lost_digits": _(
        "The spreadsheet has turned this number into scientific notation and forgotten its last digits. Set the"
        " column's format to “Text”, enter the number again from the paper, and save."
    ),
    "lost_zeros": _(
        "This number has too few digits; the spreadsheet may have dropped its leading zeros. Set the column's format to"
        " “Text” and enter it again."
    ),
    "too_many_cells": _("This row has more cells than the heading. Look for a separator within a value."),
    # Households.
    "bad_id_number": _("The ID number is not right. Compare all 18 characters with the card."),
    "bad_phone": _("Enter the 11 digits of a mobile number, such as 13912345678."),
    "unknown_village": _("This village is not among yours. Choose one from the list."),
    "no_consent_text": _("This version of the consent text is not known. Compare it with the paper that was signed."),
    "no_consent": _("Without the household's signed consent nothing is stored."),
    "no_tenure": _("Enter the number of the forest-right certificate."),
    "bad_area": _("Enter the area in mu, such as 1.5."),
    "in_future": _("This day is in the future. Correct the date."),
    "twice_in_file": _("This ID number stands in line %(line)s too. Keep one of the two rows."),
    "household_exists": _(
        "A household with this ID number is registered already. Look it up instead of adding it again."
    ),
    "village_full": _("This village has 999 households: no number is left."),
    # Trees.
    "unknown_household": _("This household is not among yours. Register it first."),
    "consent_withdrawn": _("The household has withdrawn its consent. Have it signed again first."),
    "unknown_species": _("This species is not on the list. Choose one of the list."),
    "ambiguous_species": _("Several species have this name. Write the scientific name."),
    "bad_dbh": _("The DBH must be more than 0 and less than 500 cm. Measure it again."),
    "planted_later": _("The tree was measured before it was planted. Correct one of the years."),
    "too_thick": _("The tree is too thick for this programme: its DBH may be at most %(cm)s cm."),
    "too_small": _("The tree is too young and too thin: it needs a DBH of %(cm)s cm or an age of %(years)s years."),
    "measured_in_future": _("The day of measuring is in the future. Correct the date."),
    "bad_position": _("The position is not complete. Take it again or leave it empty."),
    "household_numbers_used_up": _("This household has 999 trees: no number is left."),
}


def sentence(code: str, details: dict[str, Any]) -> str:
    """The sentence for a problem, in the reader's language."""
    text = str(REASONS[code])
    return text % details if details else text
