"""What the curator asks of the job ledger, through a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from mistudio import JobState
from mistudio.blocking.client import Client
from mistudio.errors import FailedPreconditionError, MistudioError, NotFoundError
from mistudio.v1 import Job
from mistudio_curator.job_archive import end_of
from mistudio_runtime.jobs import TransientFailure

PAGE = 200
"""Jobs in an answer: a record may be large."""
_DEADLINE_SECONDS = 60.0
OVER = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
UNFINISHED = tuple(state for state in JobState if state not in (*OVER, JobState.UNSPECIFIED))
RUNNING = (JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING)


class Ledger:
    """Reads and deletes jobs. Every method raises TransientFailure if no gateway answers."""

    def __init__(self, gateway: str) -> None:
        """Takes the "host:port" of a gateway, or of several with commas; connects at the first question."""
        self._client = Client(gateway, timeout=_DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ended(self, before: datetime) -> Iterator[list[Job]]:
        """Yields the jobs that ended before a time, the first one first, a page at a time."""
        page: list[Job] = []
        with self._answers():
            found = self._client.jobs.list(states=OVER, ended_before=before, order_by="end_time", page_size=PAGE)
            for job in found:
                page.append(job.proto)
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page

    def needed(self) -> set[str]:
        """Returns the jobs on which an unfinished one depends."""
        with self._answers():
            found = self._client.jobs.list(states=UNFINISHED, page_size=PAGE)
            return {parent for job in found for parent in job.proto.depends_on}

    def archiving(self) -> list[Job]:
        """Returns the jobs that archive others at this moment."""
        with self._answers():
            return [job.proto for job in self._client.jobs.list(states=RUNNING, kinds=["archive_jobs"])]

    def delete(self, ends: dict[str, datetime]) -> int:
        """Deletes jobs, given with when they ended, and returns how many are gone.

        One that was put back since, or that an unfinished job needs by now, stays.
        """
        same = [job_id for job_id, end in ends.items() if self._ended(job_id) == end]
        if not same:
            return 0
        with self._answers():
            try:
                return self._client.jobs.delete(same)
            except FailedPreconditionError:
                return sum(self._delete_one(job_id) for job_id in same)

    def _delete_one(self, job_id: str) -> int:
        try:
            return self._client.jobs.delete([job_id])
        except FailedPreconditionError:
            return 0

    def _ended(self, job_id: str) -> datetime | None:
        with self._answers():
            try:
                job = self._client.jobs.get(job_id).proto
            except NotFoundError:
                return None
        return end_of(job) if job.HasField("end_time") else None

    @contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except MistudioError as error:
            raise TransientFailure(
                f"the gateway at {self._client.address} did not answer about jobs; check MISTUDIO_GATEWAY",
                reason="GATEWAY_UNAVAILABLE",
            ) from error
