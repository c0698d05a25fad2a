"""Nobody decides what is stored in somebody else's name."""

from pathlib import Path

import pytest

from carbonsink.accounts import roles
from tests import factories
from tests.trees.bulk import TREE_HEADING, code, fir, tree_row, write_csv
from tests.trees.conftest import signed_in
from tests.trees.test_bulk_admin import do, upload
from trees.models import Import, Tree


@pytest.mark.django_db
def test_an_import_is_checked_and_stored_by_whoever_began_it(tmp_path: Path) -> None:
    one, other = (signed_in(factories.user(roles.ADMINISTRATOR)) for _ in range(2))
    household = factories.household()
    fir()
    upload(one, write_csv(tmp_path / "trees.csv", TREE_HEADING, tree_row(code(household))))
    batch = Import.objects.get()
    assert "is loading this file" in do(other, batch, "check", **batch.mapping).content.decode()
    batch.refresh_from_db()
    assert batch.state == "staging"
    do(one, batch, "check", **batch.mapping)
    assert "is loading this file" in do(other, batch, "store").content.decode()
    assert Tree.objects.count() == 0
    do(one, batch, "store")
    assert Tree.objects.get().imported_from == batch
