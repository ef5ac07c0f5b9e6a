"""Ages of attempts do not depend on the clock of whoever recorded them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.attempt_ages import AttemptAges


def running(attempt: int, began: datetime) -> v1.Job:
    job = v1.Job(id="job-1", state=v1.JOB_STATE_RUNNING, attempts=[v1.Attempt(number=attempt, worker="w@1")])
    job.attempts[0].start_time.FromDatetime(began)
    return job


@pytest.mark.parametrize("ahead", [timedelta(minutes=-7), timedelta(0), timedelta(minutes=7)])
def test_an_attempt_is_young_from_when_it_is_known(ahead: timedelta) -> None:
    job = running(1, datetime.now(UTC) + ahead)
    assert AttemptAges(60.0).is_young(job)
    ages = AttemptAges(0.0)
    ages.keep_only([job])
    assert not ages.is_young(job)


def test_what_is_not_active_is_forgotten() -> None:
    ages = AttemptAges(60.0)
    ages.keep_only([running(1, datetime.now(UTC))])
    ages.keep_only([])
    assert ages._known == {}
