"""Which devices a job may take, when a lease is void, and what is said of a job that waits for one."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError

from mistudio import v1
from mistudio_gateway.leases import Lease, device_key, has_told, stands, waits_for_device, wanted_devices
from mistudio_runtime.device_kinds import DEVICE_KINDS

TWO = ("cuda:0", "cuda:1")


def worker(own: str = "", devices: tuple[str, ...] = (), *, name: str = "w@h", slots: int = 2) -> v1.WorkerStatus:
    status = v1.WorkerStatus()
    status.worker.name, status.worker.host, status.worker.device = name, "h.example", own
    status.worker.queues.add(queue="training", slots=slots)
    status.host_status.disks.add(purpose="home")
    for device in devices:
        status.host_status.devices.add(name=device, uuid=f"GPU-{device[-1]}")
    return status


def job(device: str = "", job_id: str = "job-1") -> v1.Job:
    spec = v1.JobSpec(train_sae=v1.TrainSae(device=device))
    return v1.Job(id=job_id, kind="train_sae", queue="training", state=v1.JOB_STATE_QUEUED, spec=spec)


def test_the_kinds_that_use_a_device_are_those_whose_spec_names_one() -> None:
    assert {"train_sae", "extract_features", "extract_activations"} == DEVICE_KINDS


@pytest.mark.parametrize(
    ("asked", "own", "there", "wanted"),
    [
        ("", "", TWO, TWO),
        ("", "", (), ()),
        ("", "cuda:1", TWO, ("cuda:1",)),
        ("", "cuda:1", (), ("cuda:1",)),
        ("", "cuda", TWO, TWO),
        ("", "cpu", TWO, ()),
        ("cpu", "cuda:0", TWO, ()),
        ("cuda", "", TWO, TWO),
        ("cuda", "", (), ("cuda:0",)),
        ("cuda", "cuda:1", TWO, ("cuda:1",)),
        ("cuda:0", "cuda:1", TWO, ("cuda:0",)),
        ("mps", "", (), ("mps",)),
    ],
)
def test_wanted_devices(asked: str, own: str, there: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    assert wanted_devices(job(asked), worker(own, there)) == wanted


def test_a_processor_that_cannot_be_used_is_not_chosen() -> None:
    status = worker("", TWO)
    status.host_status.device_problem = "the installed torch 2.13.0+cpu is not built for CUDA"
    assert wanted_devices(job(""), status) == ()
    assert wanted_devices(job("cuda:0"), status) == ("cuda:0",)


def test_other_kinds_want_none() -> None:
    other = v1.Job(kind="collect_garbage", spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()))
    assert wanted_devices(other, worker("cuda:0", TWO)) == ()


def test_a_key_is_that_of_the_hardware_or_of_the_host() -> None:
    masked = worker("", ("cuda:0",))
    masked.host_status.devices[0].uuid = "GPU-1"  # CUDA_VISIBLE_DEVICES=1
    assert device_key(masked, "cuda:0") == device_key(worker("", TWO), "cuda:1") == "GPU-1"
    assert device_key(worker(), "cuda:0") == "h=2e=example/cuda=3a=0"
    assert device_key(worker(), "cuda:0") != device_key(worker(), "cuda=3a=0")
    assert not has_told(v1.WorkerStatus())


@pytest.mark.parametrize(
    ("attempt", "granted", "current", "state", "verdict"),
    [
        (2, True, 2, v1.JOB_STATE_RUNNING, True),
        (2, False, 2, v1.JOB_STATE_PAUSING, True),
        (2, True, 2, v1.JOB_STATE_QUEUED, False),
        (2, True, 3, v1.JOB_STATE_RUNNING, False),
        (2, False, 1, v1.JOB_STATE_QUEUED, None),
        (2, True, 1, v1.JOB_STATE_QUEUED, True),
        (2, False, 3, v1.JOB_STATE_QUEUED, False),
    ],
)
def test_a_lease_stands_while_its_attempt_runs(
    attempt: int, *, granted: bool, current: int, state: v1.JobState.ValueType, verdict: bool | None
) -> None:
    record = v1.Job(id="job-1", state=state, attempts=[v1.Attempt(number=current)])
    assert stands(Lease("job-1", attempt, granted), record) is verdict
    assert stands(Lease("job-1", attempt, granted), None) is False


def test_a_lease_is_read_as_it_was_written() -> None:
    lease = Lease("job-1", 3, granted=True)
    assert Lease.decode(lease.encode()) == lease
    for garbage in (b"", b"{}", b"[1]", b'{"job_id": "x", "attempt": "y", "granted": true}'):
        with pytest.raises(DecodeError):
            Lease.decode(garbage)


def test_the_sentence_names_device_host_and_holder() -> None:
    busy = worker("cuda:0")
    busy.running.add(job_id="job-9", attempt=1, queue="training", device="cuda:0")
    assert waits_for_device(job(), [busy], [busy], 1) == "Waits for cuda:0 of host h.example, held by job job-9."
    assert waits_for_device(job(), [busy], [busy], 2) == ""
    assert waits_for_device(job("cpu"), [busy], [busy], 1) == ""
    free = worker("cuda:1", name="w@i")
    assert waits_for_device(job(), [busy, free], [busy, free], 1) == ""


def test_a_device_that_another_service_holds_is_waited_for_too() -> None:
    extractor = worker("", TWO, name="e@h")
    for number, device in enumerate(TWO):
        extractor.running.add(job_id=f"job-{number}", attempt=1, queue="extraction", device=device)
    trainer = worker("", TWO)
    sentence = waits_for_device(job(), [trainer], [extractor, trainer], 1)
    assert (
        sentence
        == "Waits for cuda:0 of host h.example, held by job job-0 or cuda:1 of host h.example, held by job job-1."
    )


def test_a_job_that_waits_for_a_slot_does_not_wait_for_a_device() -> None:
    busy = worker("cuda:0", slots=1)
    busy.running.add(job_id="job-9", attempt=1, queue="training", device="cuda:0")
    assert waits_for_device(job(), [busy], [busy], 1) == ""
