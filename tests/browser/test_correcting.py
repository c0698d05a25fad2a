"""An officer corrects a tree that came back, on a phone, without the field app."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from carbonsink.accounts import roles
from tests import factories
from trees import review
from trees.models import Tree


@pytest.mark.django_db(transaction=True)
def test_the_position_stays_and_the_girth_becomes_the_diameter(page: Page, live_server: Any, settings: Any) -> None:
    factories.fast_hashing(settings)
    officer = factories.user(roles.OFFICER)
    tree = factories.tree(factories.household(officer), lon=Decimal("108.930000"), lat=Decimal("25.930000"))
    review.reject_tree(tree, reviewer=factories.user(roles.REVIEWER), reason="wrong_size", note="7.5?")
    client = Client()
    client.force_login(officer)
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page.goto(f"{live_server.url}/officer/households/{tree.household.public_id}/")
    page.locator(f'a[href="/officer/trees/{tree.number}/correct/"]').click()
    expect(page.get_by_text("7.5?")).to_be_visible()
    page.fill("#girth", "31.4")
    expect(page.locator('[name="dbh_cm"]')).to_have_value("10.0")
    page.locator("form.form-large button.button-wide").click()
    page.wait_for_url(f"**/officer/households/{tree.household.public_id}/")
    corrected = Tree.objects.get()
    assert (corrected.state, corrected.dbh_cm, corrected.revision) == ("submitted", Decimal("10.0"), 2)
    assert (corrected.lon, corrected.lat) == (Decimal("108.930000"), Decimal("25.930000"))
