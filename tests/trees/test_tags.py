"""Sheets of tags: every tree once, its number to be read and its code to be scanned, in glyphs that are really there."""

from tests import factories
from trees.models import Household, Species, Tree


def stand(owner: Household, count: int, species: str = "Cunninghamia lanceolata", name_zh: str = "杉木") -> list[Tree]:
    """So many trees of a household, made in one go."""
    first = factories.tree(owner, photo=False)
    kind, _ = Species.objects.get_or_create(scientific_name=species, defaults={"name_zh": name_zh})
    made = []
    for ordinal in range(2, count + 1):
        tree = Tree.objects.get(pk=first.pk)
        tree.pk, tree.ordinal, tree.species, tree.client_uuid = None, ordinal, kind, factories.uuid.uuid4()
        tree.number = tags_number(owner, ordinal)
        made.append(tree)
    Tree.objects.bulk_create(made)
    return list(owner.trees.order_by("ordinal"))


def tags_number(owner: Household, ordinal: int) -> str:
    from trees.numbers import tree_number

    return tree_number(owner.village_id, owner.ordinal, ordinal)
