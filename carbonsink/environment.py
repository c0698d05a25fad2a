"""The environment, from which all settings come, and what kind of deployment this is."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environs import Env, validate

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent
env.read_env(str(BASE_DIR / ".env"), recurse=False)

DEPLOYMENT = env.str("DEPLOYMENT", "production", validate=validate.OneOf(["production", "demo", "test"]))
IS_PRODUCTION = DEPLOYMENT == "production"

# Throw-away values that only DEPLOYMENT=test may fall back to.
TEST_SECRETS = {
    "SECRET_KEY": "test-only-secret-key-that-protects-nothing-at-all",
    "FIELD_ENCRYPTION_KEYS": "dGVzdC1vbmx5LWtleS10aGF0LXByb3RlY3RzLW5vbmU=",
    "FIELD_LOOKUP_KEYS": "t1:" + "00" * 32,
    "DATABASE_URL": "postgres://127.0.0.1:1/unset",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def secret(name: str) -> str:
    """A value that must be given, except in tests."""
    value = env.str(name, "")
    if value:
        return value
    if DEPLOYMENT == "test":
        return TEST_SECRETS[name]
    raise ImproperlyConfigured(f"{name} is not set. Set it in the environment; see .env.example.")
