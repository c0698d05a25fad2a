"""What can still be bought of an order's choice."""

from django.db.models import Sum

from purchases.models import Order, Sink, Stock


def left_of_choice(order: Order) -> int | None:
    """How many trees of the order's choice are unsold now; None for a choice that is not counted here (a species)."""
    if order.tree_id:
        return Sink.objects.filter(tree=order.tree_id, vintage=order.vintage, order=None, open=True).count()
    if order.species_id:
        return None
    stock = Stock.objects.filter(vintage=order.vintage)
    if order.household_id:
        stock = stock.filter(household=order.household_id)
    elif order.area:
        stock = stock.filter(village_code__startswith=order.area.prefix)
    sums = stock.aggregate(total=Sum("total", default=0), sold=Sum("sold", default=0))
    return sums["total"] - sums["sold"]
