"""Pages of a list of jobs: filters, orders, and tokens that lead to the next page. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_runtime.errors import InvalidRequestError, Violation

DEFAULT_PAGE = 50
MAX_PAGE = 1_000
DEFAULT_ORDER = "create_time desc"
_NANOS = 1_000_000_000
_LAST = 1 << 70
"""More than any time in nanoseconds."""


class Position(NamedTuple):
    """A job's place in an order; a smaller one comes first."""

    rank: int
    """What it is ordered by as one number, negative in a falling order."""
    job_id: str
    """Tells jobs of one rank apart."""


class Page(NamedTuple):
    """A part of a list."""

    jobs: list[v1.Job]
    """Not to be changed."""
    next_token: str
    """Leads to the next page; "" on the last."""
    total: int
    """Jobs on all pages."""


def page_of(jobs: Iterable[LedgerRecord], request: v1.ListJobsRequest) -> Page:
    """Returns the page that a request asks for. Raises InvalidRequestError."""
    if request.page_size < 0:
        raise InvalidRequestError([Violation("page_size", "is not negative")])
    size = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
    rank = _order(request.order_by)
    fingerprint = _fingerprint(request)
    after = _from_token(request.page_token, fingerprint) if request.page_token else None
    matching = _matching(jobs, request)
    found = _first(matching, list(map(rank, matching)), after, size + 1)
    token = _to_token(found[size - 1][0], fingerprint) if len(found) > size else ""
    return Page([record.job for _, record in found[:size]], token, len(matching))


def _first(
    jobs: list[LedgerRecord], ranks: list[int], after: Position | None, count: int
) -> list[tuple[Position, LedgerRecord]]:
    """Returns the first `count` jobs after a position. The ledger is long: only these few are looked at closely."""
    left: Sequence[int] = range(len(jobs))
    if after is not None:
        rank, job_id = after
        left = [i for i, other in enumerate(ranks) if other > rank or (other == rank and jobs[i].id > job_id)]
    lowest = heapq.nsmallest(count, (ranks[i] for i in left))
    close = [i for i in left if lowest and ranks[i] <= lowest[-1]]
    # No two positions are equal, so that jobs themselves are never compared.
    return sorted((Position(ranks[i], jobs[i].id), jobs[i]) for i in close)[:count]


def _matching(jobs: Iterable[LedgerRecord], request: v1.ListJobsRequest) -> list[LedgerRecord]:
    matching = list(jobs)
    for holds in _conditions(request):
        matching = [job for job in matching if holds(job)]
    return matching


def _conditions(request: v1.ListJobsRequest) -> list[Callable[[LedgerRecord], bool]]:
    """Returns what a job must satisfy: only what was asked for, because every job of the ledger is held against it."""
    conditions: list[Callable[[LedgerRecord], bool]] = []
    if states := frozenset(request.states):
        conditions.append(lambda job: job.state in states)
    if kinds := frozenset(request.kinds):
        conditions.append(lambda job: job.kind in kinds)
    if queues := frozenset(request.queues):
        conditions.append(lambda job: job.queue in queues)
    if pipeline := request.pipeline_id:
        conditions.append(lambda job: job.pipeline_id == pipeline)
    conditions += [_has_label(key, value) for key, value in request.labels.items()]
    return conditions + _time_conditions(request)


def _has_label(key: str, value: str) -> Callable[[LedgerRecord], bool]:
    return lambda job: job.labels.get(key) == value


def _time_conditions(request: v1.ListJobsRequest) -> list[Callable[[LedgerRecord], bool]]:
    conditions: list[Callable[[LedgerRecord], bool]] = []
    if request.HasField("created_since"):
        since = _nanos(request.created_since)
        conditions.append(lambda job: job.created >= since)
    if request.HasField("created_before"):
        before = _nanos(request.created_before)
        conditions.append(lambda job: job.created < before)
    if request.HasField("ended_before"):
        ended = _nanos(request.ended_before)
        conditions.append(lambda job: job.ended is not None and job.ended < ended)
    return conditions


def _order(order_by: str) -> Callable[[LedgerRecord], int]:
    asked = " ".join(order_by.split()) or DEFAULT_ORDER
    if asked not in _RANKS:
        orders = ", ".join(_RANKS)
        raise InvalidRequestError([Violation("order_by", f"is one of: {orders}")])
    return _RANKS[asked]


def _nanos(time: Timestamp) -> int:
    return time.seconds * _NANOS + time.nanos


def _ended(job: LedgerRecord, sign: int) -> int:
    # What has not ended comes last in both directions.
    return _LAST + job.created if job.ended is None else sign * job.ended


_RANKS: dict[str, Callable[[LedgerRecord], int]] = {
    "create_time": lambda job: job.created,
    "create_time desc": lambda job: -job.created,
    "update_time": lambda job: job.updated,
    "update_time desc": lambda job: -job.updated,
    "end_time": lambda job: _ended(job, 1),
    "end_time desc": lambda job: _ended(job, -1),
    # Of one priority, the older comes first.
    "priority": lambda job: job.priority * _LAST + job.created,
    "priority desc": lambda job: -job.priority * _LAST + job.created,
}


def _fingerprint(request: v1.ListJobsRequest) -> str:
    """Returns what tells requests apart whose pages do not belong together."""
    same = v1.ListJobsRequest()
    same.CopyFrom(request)
    same.ClearField("page_token")
    same.ClearField("page_size")
    same.order_by = " ".join(request.order_by.split()) or DEFAULT_ORDER
    return hashlib.sha256(same.SerializeToString(deterministic=True)).hexdigest()[:16]


def _to_token(position: Position, fingerprint: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *position]).encode()).decode()


def _from_token(token: str, fingerprint: str) -> Position:
    try:
        of, rank, job_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        position = Position(int(rank), str(job_id))
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidRequestError([Violation("page_token", "is not one that ListJobs gave")]) from error
    if of != fingerprint:
        raise InvalidRequestError([Violation("page_token", "belongs to a list with another order or other filters")])
    return position
