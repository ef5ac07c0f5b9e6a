"""How much of what a library logs reaches the event log."""

from __future__ import annotations

from mistudio_runtime.worker.paced_lines import BURST, PacedLines


class Told:
    """Lines that were passed on, and a clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.texts: list[str] = []
        self.lines = PacedLines(lambda level, text: self.texts.append(text), clock=lambda: self.now)


def test_lines_pass_as_they_come() -> None:
    told = Told()
    told.lines("warning", "one")
    told.lines("error", "one")
    told.lines("warning", "two")
    assert told.texts == ["one", "one", "two"]
    told.lines.flush()
    assert told.texts == ["one", "one", "two"]


def test_repeats_are_counted() -> None:
    told = Told()
    for _ in range(1_000):
        told.lines("warning", "again")
        told.lines("warning", "and again")
    assert told.texts == ["again", "and again"]
    told.now = 31.0
    told.lines("warning", "other")
    assert told.texts[2:] == ["again (999 more times)", "and again (999 more times)", "other"]
    told.lines("warning", "again")
    told.lines.flush()
    assert told.texts[5:] == ["again"]


def test_what_is_too_much_is_left_out_and_counted() -> None:
    told = Told()
    for number in range(1_000):
        told.lines("warning", f"line {number}")
    assert told.texts == [f"line {number}" for number in range(BURST)]
    told.now = 2.0
    told.lines("warning", "later")
    assert told.texts[BURST:] == [f"{1_000 - BURST} lines are left out here; the worker's log has them", "later"]
    told.lines("warning", "much later")
    told.lines("warning", "too much")
    told.lines.flush()
    assert told.texts[-2:] == ["much later", "1 lines are left out here; the worker's log has them"]
