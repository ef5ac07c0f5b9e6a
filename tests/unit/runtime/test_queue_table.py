"""The shipped table holds what people of the old set-up know: six queues, their workers' concurrency and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from mistudio_runtime.queues import Queue, QueueTableError, load_queues

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


def test_a_queue_may_have_a_limit(tmp_path: Path) -> None:
    row = 'priority = 5\nslots = 1\nservice = "trainer"\njob_kinds = ["train_sae"]\n'
    file = tmp_path / "queues.toml"
    file.write_text(f"[queues.training]\n{row}max_queued = 3\n[profiles]\n")
    assert load_queues(file).queue("training").max_queued == 3
    assert {queue.max_queued for queue in TABLE.queues} == {0}
    file.write_text(f"[queues.training]\n{row}max_queued = -1\n[profiles]\n")
    with pytest.raises(QueueTableError, match="queue training: max_queued is a number of jobs"):
        load_queues(file)
