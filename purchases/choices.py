"""Where an order's choice is bought again."""

from django.urls import reverse

from purchases.models import Order


def address_again(order: Order, trees: int | None = None) -> str:
    """The page with the order form for the order's choice, for so many trees, as many as it had by default."""
    if order.tree is not None:
        return reverse("purchases:tree", args=[order.tree.number])
    if order.household is not None:
        address = reverse("purchases:public-household", args=[order.household.public_id])
    elif order.campaign is not None:
        address = reverse("purchases:campaign", args=[order.campaign.slug])
    elif order.area is not None:
        address = reverse("purchases:area", args=[order.area_id])
    elif order.species_id is not None:
        address = reverse("purchases:species", args=[order.species_id])
    else:
        address = reverse("purchases:anywhere")
    return f"{address}?trees={trees or order.quantity}"
