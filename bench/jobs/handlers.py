"""What the bench's jobs do. Each is a real job kind, so that nothing on its way is left out."""

from __future__ import annotations

import os
import time

from mistudio import v1
from mistudio_runtime.jobs import JobContext

STAMPS = "BENCH_STAMPS"
"""Names the file that handlers write to: "what job-id attempt nanoseconds", by the clock that all processes share."""
_LINE_SECONDS = 0.5
_LOOK_SECONDS = 0.0005


def stamp(what: str, context: JobContext, now: int) -> None:
    """Writes one line; short appends of several processes do not mix."""
    file = os.open(os.environ[STAMPS], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{what} {context.job_id} {context.attempt} {now}\n".encode())
    os.close(file)


def noop(spec: v1.CollectGarbage, context: JobContext) -> list[str]:  # noqa: ARG001 - as every handler is called
    """Does nothing, for as long as `min_age` says."""
    if spec.HasField("min_age"):
        time.sleep(spec.min_age.ToNanoseconds() / 1e9)
    return []


def started(spec: v1.VerifyArtifacts, context: JobContext) -> list[str]:  # noqa: ARG001 - as every handler is called
    """Tells when its first line ran."""
    stamp("start", context, time.monotonic_ns())
    return []


def busy(spec: v1.PruneCheckpoints, context: JobContext) -> list[str]:
    """Works until it is stopped, and tells when it started and when it saw that; a dry run says the time in its log."""
    stamp("start", context, time.monotonic_ns())
    until = time.monotonic() + spec.min_age.ToNanoseconds() / 1e9
    while context.stop_requested() is None and time.monotonic() < until:
        if spec.dry_run:
            context.log("info", str(time.monotonic_ns()))
        time.sleep(_LINE_SECONDS if spec.dry_run else _LOOK_SECONDS)
    stamp("stop", context, time.monotonic_ns())
    context.raise_if_stopped()
    return []
