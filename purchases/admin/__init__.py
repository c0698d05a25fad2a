"""The market in the admin."""

from purchases.admin import buyers, campaigns, money, stock, vouchers

__all__ = ["buyers", "campaigns", "money", "stock", "vouchers"]
