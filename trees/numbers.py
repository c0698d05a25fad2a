"""The number of a tree: village code (12) + household ordinal (3) + tree ordinal (3) + check digit (ISO 7064
MOD 11,10), 19 digits. One wrong digit or two swapped neighbours give a number that does not check."""

from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_10


def tree_number(village_code: str, household_ordinal: int, tree_ordinal: int) -> str:
    """The number of a tree. ValueError when an ordinal has no three digits."""
    if not (1 <= household_ordinal <= 999 and 1 <= tree_ordinal <= 999):
        raise ValueError(f"ordinals must be 1 to 999, not {household_ordinal} and {tree_ordinal}")
    body = f"{village_code}{household_ordinal:03d}{tree_ordinal:03d}"
    return body + str(mod_11_10.calc_check_digit(body))


def is_tree_number(text: str) -> bool:
    """Whether the text has 19 digits whose check digit is right."""
    try:
        return len(text) == 19 and text.isascii() and text.isdigit() and bool(mod_11_10.validate(text))
    except ValidationError:
        return False
