"""Asks the gateway whether jobs are over."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import grpc

from mistudio.v1 import GetJobRequest, JobServiceStub, JobState
from mistudio_runtime.jobs import TransientFailure

_DEADLINE_SECONDS = 10.0
_OVER = (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED)


class JobEnds:
    """When jobs ended, from the ledger: no age of a file can tell a paused job from a forgotten one."""

    def __init__(self, gateway: str) -> None:
        """Takes the gateway's "host:port"; connects at the first question."""
        self._gateway = gateway
        self._channel = grpc.insecure_channel(gateway)
        self._jobs: JobServiceStub = JobServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def ended_at(self, job_id: str) -> float | None:
        """Returns when a job ended, in seconds since the epoch; 0 if nobody knows it; None if it is not over.

        Raises TransientFailure if the gateway does not answer.
        """
        try:
            job = self._jobs.GetJob(GetJobRequest(job_id=job_id), timeout=_DEADLINE_SECONDS).job
        except grpc.RpcError as error:
            if isinstance(error, grpc.Call) and error.code() in _NOBODY_KNOWS:
                return 0.0
            raise TransientFailure(
                f"the gateway at {self._gateway} did not say which jobs have ended; check MISTUDIO_GATEWAY",
                reason="GATEWAY_UNAVAILABLE",
            ) from error
        if job.state not in _OVER:
            return None
        return job.end_time.ToNanoseconds() / 1e9 if job.HasField("end_time") else time.time()


_NOBODY_KNOWS = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
"""A folder's name that is no job id at all may be refused as such."""
