"""A registry for all tests of a file, emptied before each of them."""

from collections.abc import Iterator

import pytest

from matrix.registry import Registry

from .client import Client


@pytest.fixture(scope="module")
def started() -> Iterator[Registry]:
    """Start a registry that anybody may use."""
    with Registry() as registry:
        yield registry


@pytest.fixture
def registry(started: Registry) -> Registry:
    """Return the registry, empty."""
    started.restore({"generation": 0, "repositories": {}})
    return started


@pytest.fixture
def client(registry: Registry) -> Iterator[Client]:
    """Return a client of it."""
    with Client(registry) as made:
        yield made
