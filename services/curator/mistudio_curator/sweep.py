"""Deletes leftovers of jobs that are over, and reports what it did."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from mistudio.v1 import CollectGarbage, PruneCheckpoints
from mistudio_curator.job_ends import JobEnds
from mistudio_curator.leftovers import Leftover
from mistudio_curator.report import commit_report
from mistudio_runtime.jobs import JobContext

DEFAULT_MIN_AGE_SECONDS = 24 * 3600.0


def sweep(spec: CollectGarbage | PruneCheckpoints, context: JobContext, leftovers: Iterable[Leftover]) -> list[str]:
    """Deletes (unless it is a dry run) what is older than the request's minimal age; returns the report's id.

    Nothing of a job that is not over is touched. Raises TransientFailure if the gateway cannot be asked.
    """
    min_age = spec.min_age.ToNanoseconds() / 1e9 if spec.HasField("min_age") else DEFAULT_MIN_AGE_SECONDS
    context.stages({"look": 1, "delete": 1})
    before = time.time() - min_age
    with JobEnds(context.settings.gateway) as ends:
        found = [leftover for leftover in leftovers if _is_garbage(leftover, ends, before)]
        found = [*_deleted(found, ends, before, context, dry_run=spec.dry_run)]
    summary = _summary(found, dry_run=spec.dry_run)
    did = "would delete" if spec.dry_run else "deleted"
    folders = "1 folder" if len(found) == 1 else f"{len(found)} folders"
    context.log("info", f"{did} {folders} with {summary['bytes']} bytes")
    report = {"dry_run": spec.dry_run, "folders": [_row(leftover, context) for leftover in found]}
    return commit_report(context, spec, summary=summary, report=report)


def _deleted(
    found: list[Leftover], ends: JobEnds, before: float, context: JobContext, *, dry_run: bool
) -> Iterator[Leftover]:
    """Deletes one after the other, and yields what was garbage to the last moment."""
    for number, leftover in enumerate(found, 1):
        context.raise_if_stopped()
        # Measuring and deleting the others took its time: somebody may have put this one's job back meanwhile.
        if _is_over(leftover, ends, before):
            if not dry_run:
                shutil.rmtree(leftover.path, ignore_errors=True)
            yield leftover
        context.progress("delete", number, len(found), "folders")


def _is_garbage(leftover: Leftover, ends: JobEnds, before: float) -> bool:
    # The clock first: it is cheap, and what is young needs no question.
    return leftover.modified <= before and _is_over(leftover, ends, before)


def _is_over(leftover: Leftover, ends: JobEnds, before: float) -> bool:
    ended = ends.ended_at(leftover.job_id) if leftover.job_id else 0.0
    return ended is not None and ended <= before


def _row(leftover: Leftover, context: JobContext) -> dict[str, Any]:
    place = leftover.path.relative_to(context.settings.home) if _at_home(leftover, context) else leftover.path
    deleted = not leftover.path.exists()
    return {
        "path": place.as_posix(),
        "what": leftover.what,
        "job_id": leftover.job_id,
        "bytes": leftover.bytes,
        "deleted": deleted,
    }


def _at_home(leftover: Leftover, context: JobContext) -> bool:
    return leftover.path.is_relative_to(context.settings.home)


def _summary(found: list[Leftover], *, dry_run: bool) -> dict[str, Any]:
    counts = Counter(leftover.what for leftover in found)
    return {"dry_run": dry_run, "folders": len(found), "bytes": sum(item.bytes for item in found), **counts}
