"""Calls of WorkerService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, unary


def list_(*, timeout: float | None = None) -> Call[Sequence[v1.WorkerStatus]]:
    """Returns the workers that are attached, by name."""
    request = v1.ListWorkersRequest()
    answer = v1.ListWorkersResponse
    return unary("WorkerService/ListWorkers", request, answer, lambda a: a.workers, timeout=timeout, repeatable=True)


def drain(worker: str, *, timeout: float | None = None) -> Call[v1.WorkerStatus]:
    """Lets a worker finish what it runs and claim nothing new; it then ends."""
    request = v1.DrainWorkerRequest(worker=worker)
    return unary("WorkerService/DrainWorker", request, v1.DrainWorkerResponse, lambda a: a.worker, timeout=timeout)


def resize(worker: str, queue: str, slots: int, *, timeout: float | None = None) -> Call[v1.WorkerStatus]:
    """Changes how many jobs of a queue a worker runs at a time."""
    request = v1.ResizeWorkerRequest(worker=worker, queue=queue, slots=slots)
    return unary(
        "WorkerService/ResizeWorker",
        request,
        v1.ResizeWorkerResponse,
        lambda answer: answer.worker,
        timeout=timeout,
        repeatable=True,
    )
