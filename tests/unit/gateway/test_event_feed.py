"""Events on their way to watchers: made into answers, kept in a tail, paced."""

from __future__ import annotations

import asyncio
import time

import pytest

from mistudio import v1
from mistudio_gateway import event_feed
from mistudio_gateway.event_feed import EventFeed
from mistudio_gateway.paced_progress import PacedProgress
from mistudio_gateway.stored_event import StoredEvent, end_of
from mistudio_runtime.broker import names
from mistudio_runtime.errors import UnavailableError
from support.gateway_parts import line, metric, progress, queued
from support.waiting import eventually

JOB = "job-1"


@pytest.mark.parametrize("sequence", [1, 127, 128, 300, 2**32, 2**63])
@pytest.mark.parametrize("event", [line(JOB, "text"), metric(JOB, 0.5), v1.JobEvent(job_id=JOB, job=queued(JOB))])
def test_a_stored_event_is_the_answer_with_its_sequence(event: v1.JobEvent, sequence: int) -> None:
    kind = event.WhichOneof("event") or ""
    stored = StoredEvent.of_message(names.event_subject(JOB, kind), event.SerializeToString(), sequence)
    expected = v1.JobEvent()
    expected.CopyFrom(event)
    expected.sequence = sequence
    assert v1.WatchJobResponse.FromString(stored.response).event == expected
    assert stored.kind == kind
    assert stored.sequence == sequence
    assert (stored.job == event.job) if kind == "job" else stored.job is None


def test_one_end_of_a_job_is_told_from_another() -> None:
    job = queued(JOB)
    assert end_of(job) is None
    job.state = v1.JOB_STATE_FAILED
    job.end_time.FromSeconds(1)
    first = end_of(job)
    job.end_time.FromSeconds(2)
    assert None is not first != end_of(job)


def stored(sequence: int, text: str = "") -> StoredEvent:
    return StoredEvent.of_message(names.event_subject(JOB, "log"), line(JOB, text).SerializeToString(), sequence)


def sequences(feed: EventFeed, after: int) -> list[int]:
    return [event.sequence for event in feed.after(after)]


def test_a_feed_has_all_after_its_base() -> None:
    feed = EventFeed(JOB)
    for sequence in (4, 7, 9):
        feed.take(stored(sequence))
    feed.begin(4)  # it was stored before the feed knew where it begins
    feed.take(stored(4))
    assert sequences(feed, 4) == [7, 9]
    assert sequences(feed, 8) == [9]
    assert sequences(feed, 9) == []


def test_a_feed_is_bounded_by_count_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "TAIL_EVENTS", 3)
    feed = EventFeed(JOB)
    for sequence in range(1, 6):
        feed.take(stored(sequence))
    assert feed.base == 2
    assert sequences(feed, 2) == [3, 4, 5]
    large = stored(6, "x" * 100)
    monkeypatch.setattr(event_feed, "TAIL_BYTES", len(large.response) + 1)
    feed.take(large)
    assert feed.base == 5
    assert sequences(feed, 5) == [6]


def test_a_watcher_is_given_a_few_events_at_once() -> None:
    feed = EventFeed(JOB)
    for sequence in range(1, 201):
        feed.take(stored(sequence))
    assert sequences(feed, 100) == list(range(101, 165))


async def test_news_wake_who_waits() -> None:
    feed = EventFeed(JOB)
    waiting = asyncio.create_task(feed.news.wait())
    await asyncio.sleep(0)
    feed.take(stored(1))
    await waiting
    assert not feed.news.is_set()


class Log:
    """Remembers what is stored."""

    def __init__(self) -> None:
        self.fractions: list[float] = []
        self.refuses = False

    async def store(self, event: v1.JobEvent) -> None:
        if self.refuses:
            raise UnavailableError("the test says no")
        self.fractions.append(round(event.progress.fraction, 2))


async def test_of_progress_the_first_and_the_newest_are_stored() -> None:
    log = Log()
    paced = PacedProgress(log.store, interval=0.05)
    for step in range(10):
        await paced.add(progress(JOB, step / 10))
    await paced.add(progress("job-2", 0.5))
    assert log.fractions == [0.0, 0.5]
    await eventually(lambda: log.fractions == [0.0, 0.5, 0.9])
    assert not paced.keeps(JOB)
    await paced.add(progress(JOB, 0.95))
    await eventually(lambda: log.fractions[-1] == 0.95)


async def test_a_gateway_that_stood_still_does_not_tell_old_progress() -> None:
    log = Log()
    paced = PacedProgress(log.store, interval=0.05)
    await paced.add(progress(JOB, 0.1))
    await paced.add(progress(JOB, 0.2))
    time.sleep(1.2)  # noqa: ASYNC251 - as if it were stopped by a signal
    await eventually(lambda: not paced.keeps(JOB))
    await paced.add(progress(JOB, 0.9))
    assert log.fractions == [0.1, 0.9]
    paced.stop()


async def test_what_is_kept_is_stored_once_when_it_is_flushed() -> None:
    log = Log()
    paced = PacedProgress(log.store, interval=60.0)
    await paced.flush(JOB)
    await paced.add(progress(JOB, 0.1))
    await paced.add(progress(JOB, 0.2))
    assert paced.keeps(JOB)
    await paced.flush(JOB)
    await paced.flush(JOB)
    assert log.fractions == [0.1, 0.2]
    paced.stop()


async def test_kept_progress_that_cannot_be_stored_is_no_error() -> None:
    log = Log()
    paced = PacedProgress(log.store, interval=60.0)
    await paced.add(progress(JOB, 0.1))
    await paced.add(progress(JOB, 0.2))
    log.refuses = True
    await paced.flush(JOB)
    with pytest.raises(UnavailableError):
        await paced.add(progress("job-2", 0.5))
    paced.stop()
