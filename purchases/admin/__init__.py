"""The market in the admin."""

from purchases.admin import campaigns, money, stock, vouchers

__all__ = ["campaigns", "money", "stock", "vouchers"]
