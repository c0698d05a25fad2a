"""The market's nouns."""

from purchases.models.orders import Buyer, Certificate, Order
from purchases.models.payments import Notification, Payment, Refund
from purchases.models.sinks import Replacement, Sink, SinkRelease, Stock, Tariff

__all__ = [
    "Buyer",
    "Certificate",
    "Notification",
    "Order",
    "Payment",
    "Refund",
    "Replacement",
    "Sink",
    "SinkRelease",
    "Stock",
    "Tariff",
]
