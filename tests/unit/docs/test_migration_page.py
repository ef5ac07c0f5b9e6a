"""What docs/migration.md says of queues is what the queue table says."""

from __future__ import annotations

import re

from mistudio_runtime.queues import Queue, load_queues
from support.pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "migration.md")


def row(queue: Queue) -> str:
    """Returns a queue's line as the page has it."""
    memory = f"{queue.memory_limit_bytes // 1000:,} KB" if queue.memory_limit_bytes else "none"
    cells = (queue.name, str(queue.priority), str(queue.slots), memory, queue.service, ", ".join(queue.job_kinds))
    return f"| {' | '.join(cells)} |"


def test_the_queues_are_those_of_the_table() -> None:
    assert set(map(row, load_queues().queues)) <= set(PAGE.text.splitlines())


def test_every_profile_and_every_service_has_its_command() -> None:
    profiles = set(re.findall(r"mistudio up --profile (\w+) --detach", PAGE.text))
    assert profiles == set(load_queues().profiles)
    assert all(f"python -m mistudio_{service}" in PAGE.text for service in load_queues().services)
