"""The words of finance's page and of the command: sums, sides, and what to do about each kind of difference."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from payouts.models import Discrepancy

Kind = Discrepancy.Kind
SIDES = [("ledger", _("our books")), ("gateway", _("payment services")), ("bank", _("the bank"))]
_TITLES = {
    "captured": _("paid by buyers"),
    "refunded": _("sent back to buyers"),
    "fees": _("kept as fees"),
    "held": _("held by the services, or on its way"),
    "settled": _("settled to the account"),
    "sponsor": _("paid in by the sponsor"),
    "paid_out": _("paid out to households"),
    "returned": _("came back from households"),
    "unknown": _("fits nothing we know"),
    "closing": _("balance at the end of the day"),
}
TO_DO = {
    Kind.BILL_MISSING: _("It is asked for again every day for a month. If it stays away, ask the payment service."),
    Kind.BILL_SUM: _("Fetch the bill from the payment service's pages and compare its lines with our payments."),
    Kind.FEES: _("Compare the fees on the service's bill with those in our books."),
    Kind.OTHER_DAY: _("Nothing: the next day's bill will show it."),
    Kind.SETTLEMENT: _("Nothing: the payment service settles within its days."),
    Kind.SETTLEMENT_OVERDUE: _("Ask the payment service for the settlement."),
    Kind.SWEPT_EARLY: _("Send in the statement of the account for transfers."),
    Kind.SETTLED_TOO_MUCH: _("Ask the payment service what the money is."),
    Kind.HELD: _("Compare the service's list of what moved on our account with our payments, refunds and settlements."
                 " Ask it for what it kept back."),
    Kind.NO_STATEMENT: _("A bank that can be asked is asked again every day. Else fetch the day's statement (camt.053)"
                         " from the bank, and send it in among the files."),
    Kind.ROW_LATE: _("Nothing: it is booked by now."),
    Kind.ROW_GONE: _("Ask the bank why the row has gone, before anything more is paid."),
    Kind.ROW_CHANGED: _("Ask the bank why the row has changed, before anything more is paid."),
    Kind.ROW_UNEXPLAINED: _("Find out whose it is. If it is a payout's debit or return, say so under “Rows to explain”."
                            " Your answer here books it as the sponsor's, or as the customer's transfer that it is."),
    Kind.DEBIT_MISSING: _("The debit should come within a day. If not, ask the bank whether the money has gone, and say"
                          " so under “Rows to explain”."),
    Kind.BALANCE: _("Compare the bank's statement of the day with ours, row by row."),
}  # fmt: skip


def titles() -> list[tuple[str, Any]]:
    """The sums in the order in which they are shown."""
    return list(_TITLES.items())
