"""Jobs that count, fail, kill and write artifacts, and that leave a trace of each attempt that really ran."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil

from mistudio import v1
from mistudio_runtime.jobs import Handler, JobContext, PermanentFailure, Service, TransientFailure

STEP_SECONDS = 0.02
TRACES = "traces"
"""Folder of the home with a file for each job: a line for each process that ran an attempt of it."""


def train(spec: v1.TrainSae, context: JobContext) -> list[str]:
    """Obeys the first hook point: "count", "permanent", "transient_once" or "poison"."""
    leave_trace(context)
    manner = spec.hook_points[0]
    if manner == "permanent":
        raise PermanentFailure("this job never works; change the hook point", reason="CHAOS")
    if manner == "transient_once" and context.attempt == 1:
        raise TransientFailure("this job works the second time")
    if manner == "poison":
        kill_the_worker()
    count(spec.total_tokens, context)
    with context.draft("sae", parents=[], parameters={}) as draft:
        (draft.path / "result.txt").write_text(f"{context.job_id} counted to {spec.total_tokens}\n")
        return [draft.commit()]


def count(to: int, context: JobContext) -> None:
    """Counts, with a checkpoint a step, from where the attempt before was stopped."""
    cursor = context.scratch / "cursor"
    start = int(cursor.read_text()) if cursor.exists() else 0
    context.stages({"count": 1})
    for done in range(start, to):
        fresh = cursor.with_suffix(f".{context.attempt}.new")
        fresh.write_text(str(done))
        fresh.replace(cursor)
        context.raise_if_stopped()
        context.progress("count", done, to, "steps")
        context.metric("number", float(done), step=done)
        time.sleep(STEP_SECONDS)


def extract(spec: v1.ExtractFeatures, context: JobContext) -> list[str]:
    """Reads what the job before it has made, and makes something of it."""
    leave_trace(context)
    made = (context.store.path(spec.sae.artifact_id) / "result.txt").read_text()
    with context.draft("features", parents=[spec.sae.artifact_id], parameters={}) as draft:
        (draft.path / "result.txt").write_text(f"seen: {made}")
        return [draft.commit()]


def tidy(spec: v1.CollectGarbage, context: JobContext) -> list[str]:
    """Ends at once, in the worker itself."""
    leave_trace(context)
    context.progress("tidy", 1, 1, "files")
    return []


def leave_trace(context: JobContext) -> None:
    """Appends who runs this attempt; whole lines only, however many processes append."""
    folder = context.settings.home / TRACES
    folder.mkdir(exist_ok=True)
    line = json.dumps({"attempt": context.attempt, "pid": os.getpid()})
    descriptor = os.open(folder / context.job_id, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def kill_the_worker() -> None:
    """Kills the process that started the forkserver that started this one."""
    worker = psutil.Process().parent().parent()
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(60)  # this process ends when it sees that its worker is gone


SERVICES = (
    Service("trainer", (Handler("train_sae", "chaos.jobs:train"),), preload=("chaos.jobs",)),
    Service("extractor", (Handler("extract_features", "chaos.jobs:extract"),)),
    Service("curator", (Handler("collect_garbage", "chaos.jobs:tidy", isolation="inline"),)),
)
