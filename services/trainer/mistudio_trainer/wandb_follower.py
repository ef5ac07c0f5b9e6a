"""The process that hands a job's points to Weights & Biases: `python -m mistudio_trainer.wandb_follower ORDER`.

It follows the job's log until its standard input ends. One run an SAE, named after the job, so that every attempt goes
on with the same runs.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import wandb

from mistudio.v1 import MetricPoint
from mistudio_trainer.metric_sink import run_name
from mistudio_trainer.metrics_tail import MetricsTail

_PERIOD = 2.0
"""Seconds between two looks at the log."""


class WandbFollower:
    """Sends each row, which is all that an SAE measured after one step, once and in the order of steps."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        """Takes what `WandbSink` ordered."""
        self._order = order
        self._cursor = Path(order["cursor"])
        self._tail = MetricsTail(Path(order["log"]))
        self._rows: dict[str, dict[int, dict[str, MetricPoint]]] = {}
        self._runs: dict[str, Any] = {}
        self._sent: dict[str, int] = json.loads(self._cursor.read_text("utf-8")) if self._cursor.exists() else {}

    def send(self, *, complete: bool) -> None:
        """Sends what is new; the last row of an SAE waits until the next one, or the end, tells that it is whole."""
        for point in self._tail.read():
            name = run_name(point)
            if point.step > self._sent.get(name, -1):
                self._rows.setdefault(name, {}).setdefault(point.step, {})[point.name] = point
        for name, rows in self._rows.items():
            steps = sorted(rows)
            for step in steps if complete else steps[:-1]:
                self._send(name, step, rows.pop(step))
        self._cursor.write_text(json.dumps(self._sent), encoding="utf-8")

    def finish(self) -> None:
        """Waits until the runs are sent, or written where the mode is offline."""
        for run in self._runs.values():
            run.finish()

    def _send(self, name: str, step: int, row: dict[str, MetricPoint]) -> None:
        some = next(iter(row.values()))
        if name not in self._runs:
            self._runs[name] = self._begin(name, some)
        self._runs[name].log(
            {metric: point.value for metric, point in row.items()} | {"tokens": some.tokens}, step=step
        )
        self._sent[name] = step

    def _begin(self, name: str, point: MetricPoint) -> Any:
        job_id = self._order["job_id"]
        return wandb.init(
            project=self._order["project"],
            id=f"{job_id}-{name}"[:128],
            name=name,
            group=job_id,
            dir=self._order["folder"],
            config={"job_id": job_id, "spec": self._order["spec"], **point.labels},
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False),
        )


def _words() -> Iterator[bytes]:
    """Yields an empty word every period, and what the standard input held when it has ended."""
    while not select.select([sys.stdin], [], [], _PERIOD)[0]:
        yield b""
    yield sys.stdin.buffer.read() or b"interrupted"


def main() -> None:
    """Follows the log of the order given as JSON; an exception ends the process and is its last line."""
    os.nice(10)  # training comes first
    follower = WandbFollower(json.loads(sys.argv[1]))
    for word in _words():
        follower.send(complete=word == b"complete\n")
    follower.finish()


if __name__ == "__main__":
    main()
