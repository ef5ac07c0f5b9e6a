"""Pages of a list of jobs: filters, orders, and tokens that lead to the next page. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_runtime.errors import InvalidRequestError, Violation

DEFAULT_PAGE = 50
MAX_PAGE = 1_000
DEFAULT_ORDER = "create_time desc"
_DESC = " desc"
_NANOS = 1_000_000_000


class Position(NamedTuple):
    """A job's place in an order; a smaller one comes first."""

    last: bool
    """Whether it has no value to be ordered by, e.g. has not ended: such jobs come last in both directions."""
    value: int
    """What it is ordered by, negative in a falling order."""
    create_time: int
    """Nanoseconds since the epoch, UTC: of equals the older comes first."""
    job_id: str


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
    position = _order(request.order_by)
    fingerprint = _fingerprint(request)
    after = _from_token(request.page_token, fingerprint) if request.page_token else None
    matching = list(_matching(jobs, request))
    places = ((position(job), job) for job in matching)
    if after is not None:
        places = (place for place in places if place[0] > after)
    # No two places are equal, so that jobs themselves are never compared.
    found = heapq.nsmallest(size + 1, places)
    more = len(found) > size
    token = _to_token(found[size - 1][0], fingerprint) if more else ""
    return Page([job.job for _, job in found[:size]], token, len(matching))


def _matching(jobs: Iterable[LedgerRecord], request: v1.ListJobsRequest) -> Iterator[LedgerRecord]:
    conditions = _conditions(request)
    return (job for job in jobs if all(holds(job) for holds in conditions)) if conditions else iter(jobs)


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
    if labels := dict(request.labels):
        conditions.append(lambda job: all(job.labels.get(key) == value for key, value in labels.items()))
    return conditions + _time_conditions(request)


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


def _order(order_by: str) -> Callable[[LedgerRecord], Position]:
    asked = " ".join(order_by.split()) or DEFAULT_ORDER
    falling = asked.endswith(_DESC)
    field = asked.removesuffix(_DESC)
    if field not in _VALUES:
        fields = ", ".join(_VALUES)
        raise InvalidRequestError([Violation("order_by", f"is one of {fields}, each with or without{_DESC}")])
    value, sign = _VALUES[field], -1 if falling else 1

    def position(job: LedgerRecord) -> Position:
        found = value(job)
        created = job.created
        return Position(found is None, sign * (found or 0), created, job.id)

    return position


def _nanos(time: Timestamp) -> int:
    return time.seconds * _NANOS + time.nanos


_VALUES: dict[str, Callable[[LedgerRecord], int | None]] = {
    "create_time": lambda job: job.created,
    "update_time": lambda job: job.updated,
    "end_time": lambda job: job.ended,
    "priority": lambda job: job.priority,
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
        of, last, value, created, job_id = json.loads(base64.urlsafe_b64decode(token.encode()))
        position = Position(bool(last), int(value), int(created), str(job_id))
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidRequestError([Violation("page_token", "is not one that ListJobs gave")]) from error
    if of != fingerprint:
        raise InvalidRequestError([Violation("page_token", "belongs to a list with another order or other filters")])
    return position
