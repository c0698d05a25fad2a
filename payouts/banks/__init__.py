"""The banks by their code. Adding one: a folder, a line here, a settings block, its tests."""

from payouts.banks.base import Bank
from payouts.banks.standin.bank import StandinBank

_BANKS: dict[str, type[Bank]] = {"standin": StandinBank}


def bank(code: str) -> Bank:
    """The bank with this code, configured from settings. KeyError for an unknown one."""
    return _BANKS[code]()
