"""The short form of the chaos suite, as CI runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.__main__ import short_plan
from chaos.storm import storm

SEED = 8


@pytest.mark.timeout(240)
async def test_no_promise_is_broken_while_everything_is_killed(tmp_path: Path) -> None:
    report = await storm(short_plan(SEED), tmp_path, print)
    assert report.findings.broken() == []
    assert report.kills >= 7  # some find nothing to kill
    assert report.jobs >= 70


def test_the_same_seed_is_the_same_plan() -> None:
    assert short_plan(7) == short_plan(7)
    assert short_plan(7) != short_plan(8)
