"""The shipped table holds what people of the old set-up know: six queues, their workers' concurrency and memory."""

from __future__ import annotations

import pytest

from mistudio_runtime.queues import Queue, load_queues

TABLE = load_queues()
GUIDE = {
    "high_priority": (10, 8, None, "curator"),
    "datasets": (7, 4, None, "ingest"),
    "processing": (7, 4, None, "ingest"),
    "training": (5, 1, 4_000_000_000, "trainer"),
    "extraction": (5, 2, 2_000_000_000, "extractor"),
    "low_priority": (3, 2, None, "curator"),
}
"""Queue to priority, slots, bytes a job, service."""


@pytest.mark.parametrize("queue", TABLE.queues, ids=lambda queue: queue.name)
def test_the_rows_are_those_of_the_guide(queue: Queue) -> None:
    assert (queue.priority, queue.slots, queue.memory_limit_bytes, queue.service) == GUIDE[queue.name]


def test_no_queue_of_the_guide_is_missing() -> None:
    assert set(TABLE.names) == set(GUIDE)


def test_the_profiles_start_every_service_that_they_are_for() -> None:
    assert {name: {service for process in rows for service in process} for name, rows in TABLE.profiles.items()} == {
        "minimal": {"curator", "ingest", "trainer", "extractor"},
        "full": {"curator", "ingest", "trainer", "extractor"},
        "datasets": {"ingest", "curator"},
        "training": {"trainer", "extractor"},
    }
    assert len(TABLE.profiles["minimal"]) == 1, "one process"
