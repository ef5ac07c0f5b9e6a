"""`python -m bench.jobs.peer.client`: one producer process of the peer, asked by lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.jobs.peer.app import app, busy, noop, started

_SECONDS = 600.0


def ready(seconds: float) -> dict[str, Any]:
    """Waits until a worker has run a task."""
    noop.delay().get(timeout=seconds)
    return {}


def submit(tasks: int) -> dict[str, Any]:
    """Sends no-op tasks; each is a `delay()`, as an application does it."""
    for _ in range(tasks):
        noop.delay()
    return {}


def backlog(tasks: int, seconds: float, queue: str, priority: int | None) -> dict[str, Any]:
    """Sends tasks that take so long, for later."""
    for _ in range(tasks):
        noop.apply_async((seconds,), queue=queue, priority=priority)
    return {}


def start_times(samples: int, pause: float, queue: str, priority: int | None) -> dict[str, Any]:
    """Sends a task that tells its start, again and again with pauses; answers the milliseconds until each start."""
    taken = []
    for _ in range(samples):
        now = time.monotonic_ns()
        result = started.apply_async(queue=queue, priority=priority)
        taken.append((result.get(timeout=_SECONDS, interval=0.01) - now) / 1e6)
        time.sleep(pause)
    return {"ms": taken}


def long_task(seconds: float) -> dict[str, Any]:
    """Sends a task that works for so long."""
    return {"task": busy.delay(seconds).id}


def revoke(task: str) -> dict[str, Any]:
    """Asks to end a running task; answers when."""
    now = time.monotonic_ns()
    app.control.revoke(task, terminate=True)
    return {"ns": now}


_ANSWERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    answer.__name__: answer for answer in (ready, submit, backlog, start_times, long_task, revoke)
}


def main() -> None:
    """Answers questions until the input ends."""
    for line in sys.stdin:
        question = json.loads(line)
        answer = _ANSWERS[question.pop("do")](**question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
