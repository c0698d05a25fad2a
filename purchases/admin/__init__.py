"""The market in the admin."""

from purchases.admin import money, stock

__all__ = ["money", "stock"]
