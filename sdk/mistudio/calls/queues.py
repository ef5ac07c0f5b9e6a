"""Calls of QueueService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, unary
from mistudio.specs import Spec, job_spec


def list_(*, timeout: float | None = None) -> Call[Sequence[v1.Queue]]:
    """Returns the queues of the table: how deep they are, how fast they go, who serves them, which are paused."""
    request = v1.ListQueuesRequest()
    answer = v1.ListQueuesResponse
    return unary("QueueService/ListQueues", request, answer, lambda a: a.queues, timeout=timeout, repeatable=True)


def explain(kind: str | Spec, *, priority: int = 0, timeout: float | None = None) -> Call[v1.ExplainRouteResponse]:
    """Says where a job would go, who would take it, and when.

    A spec is checked as submitting it would check it; of a kind, given by name, only the route is told.
    """
    request = v1.ExplainRouteRequest(priority=priority)
    if isinstance(kind, str):
        request.kind = kind
    else:
        request.spec.CopyFrom(job_spec(kind))
    answer = v1.ExplainRouteResponse
    return unary("QueueService/ExplainRoute", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def pause(queue: str, *, reason: str = "", timeout: float | None = None) -> Call[v1.Queue]:
    """Stops handing out a queue's jobs; those that run go on, and new ones are taken in.

    When this returns, no job of the queue begins any more. `reason` is for whoever sees it paused, in at most 500
    characters. Raises NotFoundError if there is no such queue.
    """
    request = v1.PauseQueueRequest(queue=queue, reason=reason)
    answer = v1.PauseQueueResponse
    return unary("QueueService/PauseQueue", request, answer, lambda a: a.queue, timeout=timeout, repeatable=True)


def resume(queue: str, *, timeout: float | None = None) -> Call[v1.Queue]:
    """Hands out a queue's jobs again. Raises NotFoundError if there is no such queue."""
    request = v1.ResumeQueueRequest(queue=queue)
    answer = v1.ResumeQueueResponse
    return unary("QueueService/ResumeQueue", request, answer, lambda a: a.queue, timeout=timeout, repeatable=True)
