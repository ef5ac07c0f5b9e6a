from __future__ import annotations

from mistudio_gateway.job_ids import job_id, pipeline_id, step_job_id


def test_the_same_request_is_the_same_id_and_different_ones_never_meet() -> None:
    assert job_id("a") == job_id("a")
    assert step_job_id("a", "b") == step_job_id("a", "b")
    ids = {job_id("a"), job_id("a/b"), job_id("b"), step_job_id("a", "b"), step_job_id("b", "a"), pipeline_id("a")}
    assert len({found.split("-", 1)[1] for found in ids}) == 6


def test_without_a_request_id_every_id_is_new_and_later_ones_sort_later() -> None:
    assert len({job_id() for _ in range(100)} | {step_job_id("", "b") for _ in range(100)}) == 200
