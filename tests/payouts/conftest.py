from tests.purchases.conftest import fast_hashing, later

__all__ = ["fast_hashing", "later"]
