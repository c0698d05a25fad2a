import os
import random
import sys

import pytest

from tests.purchases.conftest import fast_hashing, later

__all__ = ["chance", "fast_hashing", "later"]


@pytest.fixture
def chance() -> random.Random:
    """Chance whose seed is printed with a failure; SEED=… repeats it."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    sys.stderr.write(f"seed {seed}\n")
    return random.Random(seed)
