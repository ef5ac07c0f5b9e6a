"""The short form of the chaos suite, as CI runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.__main__ import short_plan
from chaos.report import Report
from chaos.storm import storm
from chaos.topology import ACK_WAIT_SECONDS
from support.standstill import watched_machine

SEED = 8
_STORMS = 3
_STOOD_STILL = ACK_WAIT_SECONDS / 4
"""Seconds, a heartbeat's: freezes and leases are planned to within that."""


@pytest.mark.timeout(400)
async def test_no_promise_is_broken_while_everything_is_killed(tmp_path: Path) -> None:
    report = await _judged(tmp_path)
    assert report.findings.broken() == []
    assert report.kills >= 7  # some find nothing to kill
    assert report.jobs >= 70


async def _judged(folder: Path) -> Report:
    """Returns the report of a storm; of another one if the machine, which stood still by itself, may have the blame."""
    for number in range(_STORMS):
        home = folder / str(number)
        home.mkdir()
        with watched_machine() as machine:
            report = await storm(short_plan(SEED), home, print)
        if not report.findings.broken() or machine.longest < _STOOD_STILL:
            break
    return report


def test_the_same_seed_is_the_same_plan() -> None:
    assert short_plan(7) == short_plan(7)
    assert short_plan(7) != short_plan(8)
