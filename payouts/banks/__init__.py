"""The banks by their code. Adding one: a folder, a line here, a settings block, its tests."""

from typing import cast

from payouts.banks.alipay.bank import AlipayTransfers
from payouts.banks.base import Bank, FileBank
from payouts.banks.daifa.bank import DaifaBank
from payouts.banks.pain001.bank import Pain001Bank
from payouts.banks.standin.bank import StandinBank

_BANKS: dict[str, type[Bank]] = {
    "standin": StandinBank,
    "pain001": Pain001Bank,
    "daifa": DaifaBank,
    "alipay": AlipayTransfers,
}


def bank(code: str) -> Bank:
    """The bank with this code, configured from settings. KeyError for an unknown one."""
    return _BANKS[code]()


def file_bank(code: str) -> FileBank:
    """The bank with this code, which takes files. KeyError for an unknown one and for one that takes none."""
    found = bank(code)
    if found.at_once == 1:
        raise KeyError(code)
    return cast(FileBank, found)


def codes() -> list[str]:
    """The codes of all banks."""
    return list(_BANKS)


def least_fen(code: str) -> int:
    """The least that the bank with this code transfers, in fen; of none, and of one that is not known, 1."""
    return _BANKS[code].least_fen if code in _BANKS else 1


def by_file() -> list[str]:
    """The codes of the banks that take files."""
    return [code for code in _BANKS if bank(code).at_once > 1]
