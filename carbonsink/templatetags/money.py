"""Template filters for money, kilograms and masked data; loaded everywhere by settings."""

from django import template
from django.utils.formats import number_format

from carbonsink import money

register = template.Library()


@register.filter
def yuan(fen: int | None) -> str:
    """Fen as "¥1,234.50"."""
    if fen is None:
        return ""
    whole, _, cents = money.yuan(fen).partition(".")
    return f"¥{number_format(int(whole)) if whole != '-0' else '-0'}.{cents}"


@register.filter
def yuan_whole(fen: int) -> str:
    """Fen as yuan for headings: "¥3" when whole, else "¥3.50"."""
    return yuan(fen).removesuffix(".00")
