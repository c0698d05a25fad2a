"""An officer and a reviewer of 从江县 with their clients, and folders for photos of each test alone."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.test import Client

from carbonsink.accounts import roles
from carbonsink.accounts.models import User
from tests import factories
from trees.models import Tree


@pytest.fixture(autouse=True)
def fast_hashing(settings: Any) -> None:
    factories.fast_hashing(settings)


@pytest.fixture(autouse=True)
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's files go: `public` and `evidence`."""
    store_in(tmp_path, monkeypatch)
    return tmp_path


def store_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Has files stored in the folder."""
    for alias, name in (("default", "public"), ("evidence", "evidence")):
        for attribute in ("base_location", "location"):
            patch.setitem(storages[alias].__dict__, attribute, str(folder / name))


def signed_in(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def officer(db: None) -> User:
    return factories.user(roles.OFFICER)


@pytest.fixture
def reviewer(db: None) -> User:
    return factories.user(roles.REVIEWER)


@pytest.fixture
def field(officer: User) -> Client:
    """The officer's client."""
    return signed_in(officer)


@pytest.fixture
def county(reviewer: User) -> Client:
    """The reviewer's client."""
    return signed_in(reviewer)


@pytest.fixture
def tree(officer: User) -> Tree:
    """A tree of the officer's that waits for its first photo."""
    return factories.tree(factories.household(officer), photo=False)
