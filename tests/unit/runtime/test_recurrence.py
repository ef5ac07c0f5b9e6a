"""When schedules come due: cron expressions with seconds, time zones with their changes, lengths of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio_runtime.recurrence import Recurrence

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "zone", "after", "expected"),
    [
        ("0 30 3 * * *", "", NOON, "2026-03-29T03:30:00+00:00"),
        ("*/15 * * * * *", "", NOON, "2026-03-28T12:00:15+00:00"),
        ("0 0 9 * * MON-FRI", "", NOON, "2026-03-30T09:00:00+00:00"),
        ("0 0 0 1 jan *", "", NOON, "2027-01-01T00:00:00+00:00"),
        ("0 0 0 L * *", "", NOON, "2026-03-31T00:00:00+00:00"),
        ("0 30 3 * * *", "Europe/Berlin", NOON, "2026-03-29T01:30:00+00:00"),
        ("0 30 3 * * *", "Asia/Kolkata", NOON, "2026-03-28T22:00:00+00:00"),
        # That night there is no half past two in Berlin.
        ("0 30 2 * * *", "Europe/Berlin", NOON, "2026-03-29T01:00:00+00:00"),
        ("@every 90s", "", NOON, "2026-03-28T12:01:30+00:00"),
        ("@every 1h30m", "", NOON, "2026-03-28T13:30:00+00:00"),
        ("@every 1.5h", "", NOON, "2026-03-28T13:30:00+00:00"),
    ],
)
def test_the_next_time(every: str, zone: str, after: datetime, expected: str) -> None:
    recurrence = Recurrence(every, zone)
    recurrence.check()
    assert recurrence.after(after).isoformat() == expected
    assert recurrence.after(after).tzinfo is UTC


def test_times_of_a_length_are_counted_from_the_last_one_however_late_it_was_dealt_with() -> None:
    hourly, last = Recurrence("@every 1h"), NOON - timedelta(minutes=10)
    assert hourly.after(last, last) == last + timedelta(hours=1)
    assert hourly.after(NOON, last) == last + timedelta(hours=1)
    assert hourly.after(NOON + timedelta(hours=7), last) == last + timedelta(hours=8)
    assert hourly.after(last + timedelta(hours=2), last) == last + timedelta(hours=3)


@pytest.mark.parametrize(
    ("every", "zone", "sentence"),
    [
        ("", "", "write six cron fields with seconds first"),
        ("30 3 * * *", "", "write six cron fields with seconds first"),
        ("0 0 3 * * * 2027", "", "write six cron fields"),
        ("0 99 3 * * *", "", "out of range"),
        ("0 0 0 30 2 *", "", "failed to find next date"),
        ("R 0 3 * * *", "", "write six cron fields"),
        ("@hourly", "", "write six cron fields"),
        ("@every", "", "write six cron fields"),
        ("@every 6", "", 'write it as "@every 1h30m"'),
        ("@every 1d", "", 'write it as "@every 1h30m"'),
        ("@every -1h", "", 'write it as "@every 1h30m"'),
        ("@every 0.5s", "", '"@every 1s" at least'),
        ("@every 9000h", "", "366 days at most"),
        ("@every 99999999999999999999h", "", 'write it as "@every 1h30m"'),
        ("@every 1h", "Europe/Berlin", "goes with a cron expression only"),
        ("0 0 3 * * *", "Europe/Nowhere", "there is no time zone 'Europe/Nowhere'"),
        ("0 0 3 * * *", "../etc/passwd", "there is no time zone"),
    ],
)
def test_what_is_no_schedule(every: str, zone: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Recurrence(every, zone).check()
    assert sentence in str(caught.value)
