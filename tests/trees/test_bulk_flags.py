"""What was loaded from files is looked at for what is suspicious, in parts, wherever the last one stopped."""

from pathlib import Path
from typing import Any

import pytest

from carbonsink.accounts.models import User
from tests import factories
from tests.trees.bulk import TREE_HEADING, run, tree_row, write_csv
from trees import tasks
from trees.imports import looking
from trees.models import Flag, Import, Tree

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(officer: User, tmp_path: Path) -> Import:
    """Five imported trees on one spot, the third of them far too thick."""
    household = factories.household(officer)
    rows = [tree_row(household, dbh_cm="499" if n == 2 else "8.0") for n in range(5)]
    assert run("import_trees", write_csv(tmp_path / "trees.csv", TREE_HEADING, *rows), officer)[0] == 0
    return Import.objects.get()


def test_an_import_is_looked_at_by_the_sweep_once(batch: Import) -> None:
    assert (Flag.objects.count(), batch.looked_at) == (0, None)
    tasks.look_at_imports()
    batch.refresh_from_db()
    first, thick = Tree.objects.order_by("pk")[0], Tree.objects.order_by("pk")[2]
    assert batch.looked_at is not None
    assert batch.looked_to == Tree.objects.latest("pk").pk
    assert Flag.objects.get(kind="oversize").tree == thick
    assert first.pk in Flag.objects.filter(kind="too_close").values_list("tree", flat=True)
    assert not Flag.objects.filter(kind="pace").exists()
    before = Flag.objects.count()
    assert looking.look_at_imports(60) == 0
    assert Flag.objects.count() == before


def test_a_crash_between_parts_loses_none_and_repeats_none(batch: Import, monkeypatch: Any) -> None:
    whole = looking.look_at_trees
    seen: list[list[int]] = []

    def crash_at_the_second(ids: list[int]) -> Any:
        if len(seen) == 1:
            seen.append([])
            raise SystemExit(-9)
        seen.append(ids)
        return whole(ids)

    monkeypatch.setattr(looking, "PART", 2)
    monkeypatch.setattr(looking, "look_at_trees", crash_at_the_second)
    with pytest.raises(SystemExit):
        looking.look_at_imports(60)
    assert looking.look_at_imports(60) == 3
    ids = list(Tree.objects.order_by("pk").values_list("pk", flat=True))
    assert seen == [ids[:2], [], ids[2:4], ids[4:]]
    assert Flag.objects.filter(kind="oversize").count() == 1
