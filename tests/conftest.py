"""Fixtures for every test. Helpers are imported: `from support.broker import NatsServer`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import NatsServer

SLOWEST_FIRST = ("e2e", "integration", "contract", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lets several processes begin with the long files, so that none is left alone with them at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=_length)


def _length(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return SLOWEST_FIRST.index(folder) if folder in SLOWEST_FIRST else len(SLOWEST_FIRST)


@pytest.fixture
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A running JetStream server with an empty store; the test may kill and restart it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty data home."""
    return tmp_path / "home"
