"""Progress at the pace that people read it."""

from __future__ import annotations

from mistudio import v1
from mistudio_runtime.worker.coalesce import CoalescedReports


def progress(done: int, total: int, stage: str = "read") -> v1.AttemptReport:
    return v1.AttemptReport(progress=v1.Progress(stage=stage, done=done, total=total))


def test_progress_is_thinned_and_nothing_else() -> None:
    passed: list[v1.AttemptReport] = []
    now = [0.0]
    report = CoalescedReports(passed.append, clock=lambda: now[0])
    for done in range(5):
        report(progress(done, 5))
        report(v1.AttemptReport(metric=v1.MetricPoint(value=done)))
    assert sum(each.HasField("metric") for each in passed) == 5
    assert [each.progress.done for each in passed if each.HasField("progress")] == [0]
    now[0] = 1.0
    report(progress(4, 5))
    report(progress(5, 5))
    report(progress(0, 9, "write"))
    assert [each.progress.done for each in passed if each.HasField("progress")] == [0, 4, 5, 0]


def test_an_unknown_total_is_not_an_end() -> None:
    passed: list[v1.AttemptReport] = []
    report = CoalescedReports(passed.append, clock=lambda: 0.0)
    for done in range(1_000):
        report(progress(done, 0))
    assert len(passed) == 1


def test_the_last_word_before_the_end_is_passed_on() -> None:
    passed: list[v1.AttemptReport] = []
    report = CoalescedReports(passed.append, clock=lambda: 0.0)
    for done in range(5):
        report(progress(done, 9))
    report.flush()
    report.flush()
    assert [each.progress.done for each in passed] == [0, 4]
