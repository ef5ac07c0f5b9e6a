"""The Celery application: late acknowledgement, results in Redis."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery  # type: ignore[import-not-found]  # it is in the peer's environment only

BROKER, BACKEND, STAMPS = "BENCH_BROKER", "BENCH_BACKEND", "BENCH_STAMPS"
"""Variables: URLs of the queues' and the results' Redis, and the file that tasks write to."""

app = Celery("bench", broker=os.environ[BROKER], backend=os.environ[BACKEND])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=int(os.environ["BENCH_PREFETCH"]),
    broker_transport_options=json.loads(os.environ["BENCH_TRANSPORT"]),
)


@app.task  # type: ignore[untyped-decorator]  # Celery publishes no types
def noop(seconds: float = 0.0) -> None:
    """Does nothing, for so long."""
    if seconds:
        time.sleep(seconds)


@app.task  # type: ignore[untyped-decorator]  # Celery publishes no types
def started() -> int:
    """Returns when its first line ran, by the clock that all processes share."""
    return time.monotonic_ns()


@app.task(bind=True)  # type: ignore[untyped-decorator]  # Celery publishes no types
def busy(self: Any, seconds: float) -> None:
    """Works for so long; tells when it starts, and when SIGTERM reaches it, which ends it."""
    signal.signal(signal.SIGTERM, lambda *_: _stopped(self.request.id))
    _stamp("start", self.request.id)
    time.sleep(seconds)


def _stopped(task_id: str) -> None:
    _stamp("stop", task_id)
    os._exit(1)


def _stamp(what: str, task_id: str) -> None:
    """Writes a line as our handlers do; the attempt is how often this was said of the task."""
    now = time.monotonic_ns()
    with Path(os.environ[STAMPS]).open("a+") as file:
        file.seek(0)
        attempt = 1 + file.read().count(f"{what} {task_id} ")
        file.write(f"{what} {task_id} {attempt} {now}\n")
