"""Bank transfer: nobody is called. Money comes when the bank's statement says so, and people send it back."""

from collections.abc import Mapping
from datetime import date, datetime

from purchases.gateways.base import (
    Checkout,
    DayBill,
    Funds,
    NotificationRefused,
    NotificationReport,
    PaymentReport,
    PaymentRequest,
    RefundReport,
    RefundRequest,
)


class BankTransfer:
    """Says of everything that it is pending: `purchases.transfers` reads what the bank says."""

    code = "transfer"
    products: tuple[str, ...] = ("transfer",)
    answer_type, accepted, refused = "text/plain", "", ""

    def create(self, request: PaymentRequest) -> Checkout:
        return Checkout()

    def query(self, reference: str) -> PaymentReport:
        return PaymentReport(reference, "pending")

    def close(self, reference: str) -> None:
        return None

    def read_notification(self, headers: Mapping[str, str], body: bytes, now: datetime) -> NotificationReport:
        raise NotificationRefused("nobody calls back for bank transfers")

    def refund(self, request: RefundRequest) -> RefundReport:
        return RefundReport(request.number, "pending")

    def query_refund(self, number: str, transaction_id: str = "") -> RefundReport:
        return RefundReport(number, "pending")

    def funds(self, day: date) -> Funds:
        return Funds([], [], 0, None)

    def bill(self, day: date) -> DayBill:
        return DayBill("", [])
