"""Template filters for money, kilograms and masked data; loaded everywhere by settings."""

from django import template

from carbonsink import money

register = template.Library()


@register.filter
def yuan(fen: int | None) -> str:
    """Fen as "¥1,234.50" or "−¥3.00", grouped by thousands in every language, as banks print it."""
    if fen is None:
        return ""
    whole, _, cents = money.yuan(abs(fen)).partition(".")
    return f"{'−' if fen < 0 else ''}¥{int(whole):,}.{cents}"


@register.filter
def yuan_whole(fen: int) -> str:
    """Fen as yuan for headings: "¥3" when whole, else "¥3.50"."""
    return yuan(fen).removesuffix(".00")
