"""The way out's nouns."""

from payouts.models.accounts import BankAccount
from payouts.models.transfers import Attempt, Payout, StatementRow

__all__ = ["Attempt", "BankAccount", "Payout", "StatementRow"]
