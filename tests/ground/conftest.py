from typing import Any

import pytest

from tests import factories


@pytest.fixture(autouse=True)
def fast_hashing(settings: Any) -> None:
    factories.fast_hashing(settings)
