"""What keys mean, which job is selected, and what has ended meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio.cli.top.snapshot import Snapshot
from mistudio.cli.top.tally import Tally
from mistudio.cli.top.view import Control, Mode, Quit, View, window
from mistudio.states import JobState

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def job(name: str, state: JobState = JobState.RUNNING, *, ended: datetime | None = None) -> v1.Job:
    made = v1.Job(id=name, state=state.to_proto())
    if ended is not None:
        made.end_time.FromDatetime(ended)
    return made


def shown(*names: str, view: View | None = None) -> View:
    view = view or View()
    view.show(Snapshot(active=[job(name) for name in names], time=NOW))
    return view


def press(view: View, *keys: str) -> list[object]:
    return [wish for key in keys if (wish := view.press(key)) is not None]


def test_the_selection_moves_and_stays_on_its_job() -> None:
    view = shown("a", "b", "c")
    assert view.selected == "a"
    press(view, "j", "down", "down")
    assert view.selected == "c"
    press(view, "k")
    shown("new", "a", "b", "c", view=view)
    assert (view.selected, view.place) == ("b", 2)
    shown("new", "a", view=view)
    assert view.selected == "a"
    press(view, "end", "page up", "home")
    assert view.selected == "new"
    shown(view=view)
    assert view.job is None
    assert press(view, "j", "enter") == []


def test_a_cancel_is_confirmed() -> None:
    view = shown("a")
    assert press(view, "c", "n") == []
    assert press(view, "c", "q") == []
    assert view.confirming is None
    assert press(view, "c", "y") == [Control("cancel", "a")]
    assert press(view, "p", "r") == [Control("pause", "a"), Control("resume", "a")]
    assert press(View(), "c", "y", "p") == []


def test_pages() -> None:
    view = shown("a", "b")
    press(view, "enter")
    assert view.mode is Mode.JOB
    press(view, "up", "up", "down")
    assert (view.selected, view.scrolled) == ("a", 1)
    press(view, "esc", "?")
    assert view.mode is Mode.HELP
    press(view, "?")
    assert view.mode is Mode.LIST
    press(view, " ")
    assert view.frozen
    assert press(view, "q") == [Quit()]


def test_a_job_stays_for_a_moment_after_its_end_and_as_long_as_it_is_looked_at() -> None:
    view = shown("a", "b")
    old = job("a", JobState.CANCELLED, ended=NOW - timedelta(minutes=1))
    young = job("b", JobState.SUCCEEDED, ended=NOW - timedelta(seconds=1))
    view.show(Snapshot(ended=[young, old], time=NOW))
    assert [one.id for one in view.jobs] == ["b"]
    view = shown("a")
    press(view, "enter")
    view.show(Snapshot(ended=[young, old], time=NOW))
    assert view.job == old


def test_a_message_passes() -> None:
    now = 0.0
    view = View(clock=lambda: now)
    view.tell("done")
    assert view.message == "done"
    now = 6.0
    assert view.message == ""


@pytest.mark.parametrize(
    ("count", "place", "height", "lines"),
    [(3, 0, 5, [0, 1, 2]), (9, 0, 4, [0, 1, 2, 3]), (9, 4, 4, [2, 3, 4, 5]), (9, 8, 4, [5, 6, 7, 8]), (0, 0, 4, [])],
)
def test_the_selected_line_is_in_the_window(count: int, place: int, height: int, lines: list[int]) -> None:
    assert list(window(count, place, height)) == lines


def test_ends_are_counted_once() -> None:
    tally = Tally(NOW)
    before = job("old", JobState.FAILED, ended=NOW - timedelta(hours=1))
    first = job("a", JobState.FAILED, ended=NOW + timedelta(seconds=1))
    assert tally.take([job("b"), job("c")], [before, first]) == set()
    done = job("b", JobState.SUCCEEDED, ended=NOW + timedelta(seconds=2))
    assert tally.take([], [first, done]) == {"c"}
    tally.end(job("c", JobState.CANCELLED, ended=NOW + timedelta(seconds=2)))
    tally.end(job("a", JobState.FAILED, ended=NOW + timedelta(seconds=9)))
    assert tally.counts == {JobState.FAILED: 2, JobState.SUCCEEDED: 1, JobState.CANCELLED: 1}
