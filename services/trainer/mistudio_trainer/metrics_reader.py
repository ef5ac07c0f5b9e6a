"""Finds the metrics of a training job: in its log while it runs, in its artifacts afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from mistudio.v1 import MetricPoint
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError, NotFoundError, Violation
from mistudio_trainer.metrics_log import LOG_NAME, read_log
from mistudio_trainer.metrics_table import TABLE_NAME, read_table

MOST_POINTS = 100_000
"""Some 130 bytes each, and a message takes 16 MiB."""
_JOB_ID = re.compile(r"(job-)?[a-z0-9]{1,64}")


class MetricsReader:
    """Reads from the scratch folders of running jobs and from the store."""

    def __init__(self, store: ArtifactStore, scratch: Path) -> None:
        """Takes the store and the folder that holds a scratch folder for each job."""
        self._store = store
        self._scratch = scratch

    def read(self, job_id: str, names: AbstractSet[str], after_step: int | None) -> list[MetricPoint]:
        """Returns a job's points by step: only `names` unless empty, only steps above `after_step` unless None.

        Raises InvalidRequestError for what cannot be a job's id and for more points than one answer holds,
        NotFoundError if the job has measured nothing.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise InvalidRequestError([Violation("job_id", "give the id of a job, e.g. job-0123456789ab")])
        points = [
            point
            for point in self._all(job_id)
            if (not names or point.name in names) and (after_step is None or point.step > after_step)
        ]
        if len(points) > MOST_POINTS:
            narrower = f"{len(points)} points are more than the {MOST_POINTS} of an answer; name one metric, e.g. loss"
            raise InvalidRequestError([Violation("names", narrower)])
        return points

    def _all(self, job_id: str) -> list[MetricPoint]:
        try:
            return read_log(self._scratch / job_id / LOG_NAME)
        except FileNotFoundError:
            # It has not begun, or it has succeeded: then the scratch folder went after the artifacts had come.
            points = [point for table in self._tables(job_id) for point in read_table(table)]
        if not points:
            raise NotFoundError(f"there are no metrics of {job_id!r}; it has not begun, or it is no training job")
        return sorted(points, key=lambda point: point.step)

    def _tables(self, job_id: str) -> Iterator[Path]:
        # Numbers may be missing: of SAEs that diverged, and of those that somebody has deleted since.
        for artifact_id in self._store.made_by("sae", job_id):
            table = self._store.path(artifact_id) / TABLE_NAME
            if table.is_file():  # an SAE that was imported was not trained here
                yield table
