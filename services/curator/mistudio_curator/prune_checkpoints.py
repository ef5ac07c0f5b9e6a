"""Job kind prune_checkpoints: deletes checkpoints of jobs that are over."""

from __future__ import annotations

from mistudio.v1 import PruneCheckpoints
from mistudio_curator.leftovers import checkpoints
from mistudio_curator.sweep import sweep
from mistudio_runtime.jobs import JobContext


def run(spec: PruneCheckpoints, context: JobContext) -> list[str]:
    """Deletes them and returns the id of a report; checkpoints of paused and running jobs stay.

    Raises TransientFailure if the gateway cannot be asked which jobs are over.
    """
    return sweep(spec, context, checkpoints(context.settings.scratch))
