"""How often somebody may ask: counted for each by itself, forgotten with the window, and never in the way of a service
whose cache is down."""

from typing import Any

import pytest
from django.core.cache import cache

from carbonsink import limits
from carbonsink.errors import DomainError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the limits see it."""
    now = [1_000_000.0]
    monkeypatch.setattr(limits.time, "time", lambda: now[0])
    return now


def refused(name: str, key: str) -> bool:
    try:
        limits.allow(name, key, 3, 60)
    except DomainError as error:
        assert (error.code, error.status) == ("too_many", 429)
        return True
    return False


def test_the_fourth_of_three_is_refused_until_the_window_ends(clock: list[float]) -> None:
    assert [refused("register", "203.0.113.5") for _ in range(5)] == [False, False, False, True, True]
    clock[0] += 60
    assert not refused("register", "203.0.113.5")


def test_others_and_other_things_are_counted_apart(clock: list[float]) -> None:
    assert [refused("register", "203.0.113.5") for _ in range(4)][-1]
    assert not refused("register", "203.0.113.6")
    assert not refused("gifts", "203.0.113.5")


def test_the_cache_never_holds_who_asked(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    add = cache.add
    monkeypatch.setattr(cache, "add", lambda key, *args, **options: kept.append(key) or add(key, *args, **options))
    limits.allow("register", "13912345678", 3, 60)
    assert len(kept) == 1
    assert "13912345678" not in kept[0]


def test_nobody_is_turned_away_while_the_cache_is_down(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert not any(refused("register", "203.0.113.5") for _ in range(5))
