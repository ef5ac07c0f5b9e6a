from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from mistudio_gateway.job_listing import MAX_PAGE, page_of
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_runtime.errors import InvalidRequestError

MANY = 100_000
STATES = (v1.JOB_STATE_QUEUED, v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED)


@pytest.fixture(scope="module")
def jobs() -> list[LedgerRecord]:
    chance = random.Random(7)
    return [_job(number, chance) for number in chance.sample(range(MANY), MANY)]


def record(job: v1.Job) -> LedgerRecord:
    return LedgerRecord.of(job, job.SerializeToString(deterministic=True), 1)


def _job(number: int, chance: random.Random) -> LedgerRecord:
    state = STATES[number % len(STATES)]
    job = v1.Job(id=f"job-{number:06}", state=state, kind="train_sae", queue="training", priority=1 + number % 10)
    job.create_time.seconds = 1_000_000 + number // 3  # several in one second
    job.update_time.seconds = 1_000_000 + chance.randrange(MANY)
    if state in (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED):
        job.end_time.CopyFrom(job.update_time)
    if number % 50 == 0:
        job.labels["team"] = "a"
    return record(job)


def pages(jobs: list[LedgerRecord], request: v1.ListJobsRequest) -> Iterator[list[v1.Job]]:
    while True:
        page = page_of(jobs, request)
        yield page.jobs
        if not page.next_token:
            return
        request.page_token = page.next_token


def test_a_page_of_very_many_is_the_newest_and_tells_how_many_there_are(jobs: list[LedgerRecord]) -> None:
    page = page_of(jobs, v1.ListJobsRequest())
    expected = sorted(jobs, key=lambda job: (-job.created, job.id))[:50]
    assert [job.id for job in page.jobs] == [job.id for job in expected]
    assert page.total == MANY
    assert page.next_token


@pytest.mark.parametrize("order", [f + d for f in ("create_time", "end_time", "priority") for d in ("", " desc")])
def test_pages_of_every_order_miss_and_repeat_nothing(jobs: list[LedgerRecord], order: str) -> None:
    request = v1.ListJobsRequest(order_by=order, page_size=700, labels={"team": "a"})
    found = [job for page in pages(jobs, request) for job in page]
    assert len(found) == MANY // 50
    assert len({job.id for job in found}) == len(found)
    field = order.split(" ", maxsplit=1)[0]
    ordered = [job for job in found if field != "end_time" or job.HasField("end_time")]
    assert found[: len(ordered)] == ordered, "what has no such time comes last"
    values = [job.priority if field == "priority" else getattr(job, field).seconds for job in ordered]
    assert values == sorted(values, reverse=order.endswith(" desc"))


def test_of_equals_the_older_comes_first(jobs: list[LedgerRecord]) -> None:
    page = page_of(jobs, v1.ListJobsRequest(order_by="priority desc", page_size=MAX_PAGE))
    assert {job.priority for job in page.jobs} == {10}
    assert [job.id for job in page.jobs] == sorted(job.id for job in page.jobs)


def test_a_page_goes_on_where_the_last_one_ended_although_jobs_came_and_went(jobs: list[LedgerRecord]) -> None:
    few = sorted(jobs, key=lambda job: job.id)[:100]
    request = v1.ListJobsRequest(page_size=10)
    first = page_of(few, request)
    request.page_token = first.next_token
    gone = first.jobs[-1].id
    newer = record(v1.Job(id="job-newer", create_time=Timestamp(seconds=9_000_000)))
    second = page_of([newer, *(job for job in few if job.id != gone)], request)
    undisturbed = page_of(few, request)
    assert [job.id for job in second.jobs] == [job.id for job in undisturbed.jobs]


def test_filters(jobs: list[LedgerRecord]) -> None:
    middle = Timestamp(seconds=1_000_000 + MANY // 6)
    queued = v1.ListJobsRequest(states=[v1.JOB_STATE_QUEUED], created_since=middle)
    assert page_of(jobs, queued).total == sum(
        job.state == v1.JOB_STATE_QUEUED and job.created >= middle.seconds * 10**9 for job in jobs
    )
    older = page_of(jobs, v1.ListJobsRequest(created_before=middle)).total
    assert older + page_of(jobs, v1.ListJobsRequest(created_since=middle)).total == MANY
    ended = page_of(jobs, v1.ListJobsRequest(ended_before=middle))
    assert all(job.HasField("end_time") and job.end_time.seconds < middle.seconds for job in ended.jobs)
    assert page_of(jobs, v1.ListJobsRequest(kinds=["download_model"])).total == 0
    assert page_of(jobs, v1.ListJobsRequest(queues=["training"], pipeline_id="pipeline-x")).total == 0


def test_a_token_serves_its_own_list_only(jobs: list[LedgerRecord]) -> None:
    token = page_of(jobs[:100], v1.ListJobsRequest(page_size=10)).next_token
    same = v1.ListJobsRequest(page_size=20, order_by="  create_time   desc ", page_token=token)
    assert len(page_of(jobs[:100], same).jobs) == 20
    for other in (
        v1.ListJobsRequest(order_by="priority", page_token=token),
        v1.ListJobsRequest(states=[v1.JOB_STATE_QUEUED], page_token=token),
        v1.ListJobsRequest(created_since=Timestamp(seconds=1), page_token=token),
    ):
        with pytest.raises(InvalidRequestError, match="another order or other filters"):
            page_of(jobs[:100], other)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (v1.ListJobsRequest(page_size=-1), "page_size"),
        (v1.ListJobsRequest(order_by="name"), "order_by: is one of: create_time"),
        (v1.ListJobsRequest(order_by="priority asc"), "order_by"),
        (v1.ListJobsRequest(page_token="?"), "page_token"),
        (v1.ListJobsRequest(page_token="W10="), "page_token"),
        (v1.ListJobsRequest(page_token="bnVsbA=="), "page_token"),
    ],
)
def test_bad_requests_are_refused(request_: v1.ListJobsRequest, says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        page_of([], request_)


def test_times_that_no_clock_shows_are_only_numbers(jobs: list[LedgerRecord]) -> None:
    far = Timestamp(seconds=2**62, nanos=-5)
    assert page_of(jobs[:10], v1.ListJobsRequest(created_before=far)).total == 10
