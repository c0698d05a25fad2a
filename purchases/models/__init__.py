"""The market's nouns."""

from purchases.models.bills import Bill, Difference
from purchases.models.buyers import Buyer, Organisation
from purchases.models.campaigns import Campaign
from purchases.models.certificates import Certificate, Gift, Repeat, Retirement
from purchases.models.orders import Order
from purchases.models.payments import Notification, Payment, Refund, Voucher
from purchases.models.sinks import Replacement, Sink, SinkRelease, Stock, Tariff
from purchases.models.strays import Stray
from purchases.models.transfers import BankFile, ByHand, Transfer

__all__ = [
    "BankFile",
    "Bill",
    "Buyer",
    "ByHand",
    "Campaign",
    "Certificate",
    "Difference",
    "Gift",
    "Notification",
    "Order",
    "Organisation",
    "Payment",
    "Refund",
    "Repeat",
    "Replacement",
    "Retirement",
    "Sink",
    "SinkRelease",
    "Stock",
    "Stray",
    "Tariff",
    "Transfer",
    "Voucher",
]
