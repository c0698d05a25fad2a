"""The way out's nouns."""

from payouts.models.access import HouseholdPin
from payouts.models.accounts import BankAccount
from payouts.models.alerts import Alert
from payouts.models.cases import Case
from payouts.models.clarifications import Clarification
from payouts.models.daily import DailyStatement, DailyTree, PublishedEntry
from payouts.models.reconciliation import Discrepancy, Reconciliation
from payouts.models.statements import BankReport, StatementBalance, StatementCursor, StatementRow
from payouts.models.transfers import Approval, Attempt, Batch, Download, Payout, Run

__all__ = [
    "Alert",
    "Approval",
    "Attempt",
    "BankAccount",
    "BankReport",
    "Batch",
    "Case",
    "Clarification",
    "DailyStatement",
    "DailyTree",
    "Discrepancy",
    "Download",
    "HouseholdPin",
    "Payout",
    "PublishedEntry",
    "Reconciliation",
    "Run",
    "StatementBalance",
    "StatementCursor",
    "StatementRow",
]
