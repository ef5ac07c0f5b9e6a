"""Who limits a job's memory, and what is said when it takes more."""

from __future__ import annotations

from collections.abc import Mapping

from mistudio import v1
from mistudio_runtime.jobs import Handler
from mistudio_runtime.queues import load_queues
from mistudio_runtime.worker.memory import MemoryLimit, memory_failure, memory_limit

GB = 10**9
JOB = v1.Job(id="job-1", kind="train_sae", spec=v1.JobSpec(train_sae=v1.TrainSae(batch_tokens=4096)))


def half_a_batch(spec: v1.TrainSae, used: int, limit: int) -> Mapping[str, object]:
    """Advises on half of the batch, as if that helped."""
    return {"batch_tokens": spec.batch_tokens // 2} if used < 2 * limit else {}


def broken(spec: v1.TrainSae, used: int, limit: int) -> Mapping[str, object]:
    """Has no idea."""
    raise ZeroDivisionError


def failure(advisor: str, used: int, limit: MemoryLimit) -> v1.Failure:
    fitting = f"{__name__}:{advisor}" if advisor else ""
    return memory_failure(Handler("train_sae", "m:f", fitting=fitting), JOB, used, limit)


def test_the_worker_wins_over_the_table() -> None:
    training, datasets = load_queues().queue("training"), load_queues().queue("datasets")
    assert memory_limit(None, training) == MemoryLimit(
        4 * GB, "its queue", "memory_limit_kb of training in the queue table"
    )
    assert memory_limit(GB, training) == MemoryLimit(GB, "its worker", "--memory-limit")
    assert memory_limit(None, datasets) is None


def test_the_failure_tells_whose_limit_it_is_and_what_fits() -> None:
    found = failure("half_a_batch", int(1.24 * GB), MemoryLimit(GB, "its worker", "--memory-limit"))
    assert (found.reason, dict(found.advice)) == ("MEMORY_LIMIT", {"train_sae.batch_tokens": "2048"})
    assert found.message == (
        "the job took 1.2 GB of memory and its worker allows 1.0 GB: it would fit with "
        "`mistudio jobs retry job-1 --set train_sae.batch_tokens=2048`, or raise --memory-limit"
    )
    assert found.failure_class == v1.FAILURE_CLASS_PERMANENT


def test_without_advice_the_job_fails_all_the_same() -> None:
    for advisor in ("half_a_batch", "broken", "missing", ""):
        found = failure(advisor, 3 * GB, MemoryLimit(GB, "its queue", "the table"))
        assert not found.advice
        assert found.message.endswith("its queue allows 1.0 GB: ask for less at a time, or raise the table")
