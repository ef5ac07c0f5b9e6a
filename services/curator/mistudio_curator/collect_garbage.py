"""Job kind collect_garbage: deletes what nothing needs."""

from __future__ import annotations

from itertools import chain

from mistudio.v1 import CollectGarbage
from mistudio_curator.leftovers import drafts, scratch, trash
from mistudio_curator.sweep import sweep
from mistudio_runtime.jobs import JobContext


def run(spec: CollectGarbage, context: JobContext) -> list[str]:
    """Deletes uncommitted drafts, half-removed artifacts, and scratch folders of jobs that are over.

    Returns the id of a report. Raises TransientFailure if the gateway cannot be asked which jobs are over.
    """
    leftovers = chain(drafts(context.store), trash(context.store), scratch(context.settings.scratch))
    return sweep(spec, context, leftovers)
