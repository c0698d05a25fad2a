"""The number of a tree: village code (12) + household ordinal (3) + tree ordinal (3) + check digit (Damm), 19 digits.

One wrong digit or two swapped neighbours give a number that does not check. ISO 7064 MOD 11,10 would let one swap in
45 pass, and Luhn does not see 09 written as 90.
"""

from stdnum import damm


def tree_number(village_code: str, household_ordinal: int, tree_ordinal: int) -> str:
    """The number of a tree. ValueError when an ordinal has no three digits."""
    if not (1 <= household_ordinal <= 999 and 1 <= tree_ordinal <= 999):
        raise ValueError(f"ordinals must be 1 to 999, not {household_ordinal} and {tree_ordinal}")
    body = f"{village_code}{household_ordinal:03d}{tree_ordinal:03d}"
    return body + damm.calc_check_digit(body)


def is_tree_number(text: str) -> bool:
    """Whether the text has 19 digits whose check digit is right."""
    return len(text) == 19 and text.isascii() and text.isdigit() and damm.is_valid(text)
