"""The picture of an approved tree is the one that its reviewer saw."""

import io

import pytest

from carbonsink.accounts.models import User
from tests import factories
from trees import photos, review
from trees.models import Photo


@pytest.mark.django_db
def test_a_photo_decoded_after_the_approval_does_not_take_the_place_of_the_one_seen(
    officer: User, reviewer: User
) -> None:
    tree = factories.tree(factories.household(officer))
    tree.refresh_from_db()
    seen = tree.picture
    assert seen is not None
    unseen = photos.take_photo(tree, io.BytesIO(factories.picture()), officer=officer)
    review.approve_tree(tree, reviewer=reviewer)
    photos.process(unseen)
    tree.refresh_from_db()
    assert tree.picture == seen
    assert Photo.objects.get(pk=unseen.pk).state == "accepted"
