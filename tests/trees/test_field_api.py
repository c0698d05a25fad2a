"""What the officer's device takes along for the day, and what it asks before it sends its queue."""

from typing import Any

import pytest
from django.test import Client

from carbonsink.accounts.models import User
from tests import factories
from trees.models import Tree

pytestmark = pytest.mark.django_db


def get(client: Client, path: str) -> Any:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_day_has_all_that_is_needed_without_reception(field: Client, officer: User, tree: Tree) -> None:
    day = get(field, "field/day")
    household = tree.household
    assert day["officer"] == {"id": officer.pk, "name": "officer"}
    assert day["programme"] == {
        "min_dbh_cm": "5.0", "max_dbh_cm": None, "min_age_years": 3, "max_trees_per_household": 450,
    }  # fmt: skip
    assert day["consent"] == {"version": "1", "body": "…"}
    assert day["villages"] == [
        {"code": factories.OTHER_VILLAGE, "name": "八洛村", "path": "贵州省 黔东南苗族侗族自治州 从江县 贯洞镇"},
        {"code": factories.VILLAGE, "name": "登岜村", "path": "贵州省 黔东南苗族侗族自治州 从江县 洛香镇"},
    ]
    assert day["species"] == [
        {"scientific_name": "Cunninghamia lanceolata", "name_zh": "杉木", "name_en": "Chinese fir", "form": "tree"}
    ]
    assert day["households"] == [
        {
            "public_id": household.public_id, "client_uuid": str(household.client_uuid),
            "village_code": factories.VILLAGE, "ordinal": 1, "masked_name": household.masked_name, "trees": 1,
            "approved": 0, "rejected": 0,
        }
    ]  # fmt: skip
    assert [found["number"] for found in day["attention"]] == [tree.number]
    assert day["attention"] == get(field, f"field/households/{household.public_id}/trees")["trees"]
