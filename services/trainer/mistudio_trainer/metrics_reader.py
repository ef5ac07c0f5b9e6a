"""Finds the metrics of a training job: in its log while it runs, in its artifacts afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from mistudio.v1 import MetricPoint
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError, NotFoundError, Violation
from mistudio_trainer.metrics_log import LOG_NAME, read_log
from mistudio_trainer.metrics_table import TABLE_NAME, read_table
from mistudio_trainer.point_position import PointPosition

MOST_POINTS = 100_000
"""Some 130 bytes each, and a message takes 16 MiB."""
_JOB_ID = re.compile(r"(job-)?[a-z0-9]{1,64}")


@dataclass(frozen=True)
class MetricsQuery:
    """Which points to read."""

    job_id: str
    """Of this training job."""
    names: AbstractSet[str] = frozenset()
    """Only these metrics; empty takes all."""
    after_step: int | None = None
    """Only points after this step."""
    page_size: int = 0
    """At most so many; 0 and more than MOST_POINTS are MOST_POINTS."""
    page_token: str = ""
    """Where the page before ended; empty begins with the first point."""

    def takes(self, point: MetricPoint) -> bool:
        """Tells whether a point is asked for."""
        later = self.after_step is None or point.step > self.after_step
        return later and (not self.names or point.name in self.names)


class MetricsReader:
    """Reads from the scratch folders of running jobs and from the store."""

    def __init__(self, store: ArtifactStore, scratch: Path) -> None:
        """Takes the store and the folder that holds a scratch folder for each job."""
        self._store = store
        self._scratch = scratch

    def page(self, query: MetricsQuery) -> tuple[list[MetricPoint], str]:
        """Returns one page of a job's points by step, and the token of the next page ("" on the last).

        Raises InvalidRequestError for what cannot be a job's id, a negative page size or a token that is none,
        NotFoundError if the job has measured nothing.
        """
        if not _JOB_ID.fullmatch(query.job_id):
            raise InvalidRequestError([Violation("job_id", "give the id of a job, e.g. job-0123456789ab")])
        if query.page_size < 0:
            raise InvalidRequestError([Violation("page_size", "give 0 for the default, or a positive number")])
        size = min(query.page_size or MOST_POINTS, MOST_POINTS)
        start = PointPosition.from_token(query.page_token) if query.page_token else None
        chosen = (point for point in self._all(query.job_id) if query.takes(point))
        left = [point for point in chosen if start is None or PointPosition.of(point) > start]
        token = PointPosition.of(left[size - 1]).to_token() if len(left) > size else ""
        return left[:size], token

    def _all(self, job_id: str) -> list[MetricPoint]:
        try:
            points = read_log(self._scratch / job_id / LOG_NAME)
        except FileNotFoundError:
            # It has not begun, or it has succeeded: then the scratch folder went after the artifacts had come.
            points = [point for table in self._tables(job_id) for point in read_table(table)]
        if not points:
            raise NotFoundError(f"there are no metrics of {job_id!r}; it has not begun, or it is no training job")
        # The same order in the log and in the tables, so that pages join even when the job ends between two.
        return sorted(points, key=PointPosition.of)

    def _tables(self, job_id: str) -> Iterator[Path]:
        # Numbers may be missing: of SAEs that diverged, and of those that somebody has deleted since.
        for artifact_id in self._store.made_by("sae", job_id):
            table = self._store.path(artifact_id) / TABLE_NAME
            if table.is_file():  # an SAE that was imported was not trained here
                yield table
