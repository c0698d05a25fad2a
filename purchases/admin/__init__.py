"""The market in the admin."""

from purchases.admin import money, stock, vouchers

__all__ = ["money", "stock", "vouchers"]
