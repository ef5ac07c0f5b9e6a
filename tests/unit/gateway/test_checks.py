"""The pure checks of the mesh, and the sentences that they end in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.checks.clocks import check_clocks
from mistudio_gateway.checks.devices import check_devices
from mistudio_gateway.checks.disks import check_disks
from mistudio_gateway.checks.jobs import check_jobs
from mistudio_gateway.checks.queues import Waiting, check_messages, check_queues, waiting_by_queue
from mistudio_gateway.checks.schedules import cannot_look, check_schedules
from mistudio_gateway.checks.streams import check_streams
from mistudio_gateway.checks.versions import check_versions
from mistudio_gateway.checks.workers import check_workers
from mistudio_gateway.clock_offset import ClockOffset
from mistudio_gateway.ledger_record import LedgerRecord
from mistudio_gateway.queues.pauses import Pause, Pauses
from mistudio_runtime.broker.facts import BrokerFacts, StreamFacts
from mistudio_runtime.errors import FailedPreconditionError, UnavailableError
from mistudio_runtime.queues import load_queues
from support.findings import bad, only

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TABLE = load_queues()
GIB = 2**30
OK, WARNING, PROBLEM = v1.SEVERITY_OK, v1.SEVERITY_WARNING, v1.SEVERITY_PROBLEM


def worker(service: str = "trainer", *, host: str = "h", version: str = "1.2.0", silent: float = 0) -> v1.WorkerStatus:
    queues = [v1.ServedQueue(queue=row.name, slots=row.slots) for row in TABLE.queues_of(service)]
    told = v1.Worker(name=f"{service}@{host}", services=[service], queues=queues, host=host, version=version)
    status = v1.WorkerStatus(worker=told)
    status.last_seen_time.FromDatetime(NOW - timedelta(seconds=silent))
    return status


def everybody() -> list[v1.WorkerStatus]:
    return [worker(service) for service in TABLE.services]


def job(state: v1.JobState.ValueType, *, queue: str = "training", age: float = 0, **fields: object) -> v1.Job:
    made = v1.Job(id=fields.pop("id", "job-1"), kind="train_sae", queue=queue, state=state, **fields)
    made.update_time.FromDatetime(NOW - timedelta(seconds=age))
    made.end_time.FromDatetime(NOW - timedelta(seconds=age))
    return made


def records(*jobs: v1.Job) -> list[LedgerRecord]:
    return [LedgerRecord.of(record, record.SerializeToString(), 1) for record in jobs]


def waits(
    jobs: list[v1.Job], workers: list[v1.WorkerStatus], pauses: Pauses | None = None, without_device: str = ""
) -> list[Waiting]:
    def device(record: v1.Job) -> str:
        return "cuda:0 is held by job-0." if record.id == without_device else ""

    return waiting_by_queue(TABLE, jobs, workers, NOW, pauses=pauses or {}, waits_for_device=device)


def queues(jobs: list[v1.Job], workers: list[v1.WorkerStatus], stuck: frozenset[str] = frozenset()) -> list[v1.Finding]:
    found = check_queues(waits(jobs, workers), stuck, NOW)
    bad(found)
    return found


def test_served_queues() -> None:
    assert only(queues([], everybody())) == (OK, "All 6 queues are served, and no job waits.", "")


def test_waiting_jobs() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED, age=30), job(v1.JOB_STATE_QUEUED, age=200, id="job-2")]
    busy = everybody()
    trainer = next(status for status in busy if status.worker.services == ["trainer"])
    trainer.running.add(job_id="job-0", queue="training")
    sentence = "All 6 queues are served; 2 jobs wait for a slot, the oldest for 3 min in training."
    assert only(queues(jobs, busy, frozenset({"job-2"}))) == (OK, sentence, "")


def test_a_service_that_nobody_runs_is_one_finding() -> None:
    without = [status for status in everybody() if status.worker.services[0] not in {"trainer", "ingest"}]
    ingest, trainer = queues([job(v1.JOB_STATE_QUEUED)], without)
    assert (ingest.severity, ingest.command) == (WARNING, "python -m mistudio_ingest")
    assert ingest.message == "No worker serves the queues datasets and processing."
    assert (trainer.severity, trainer.command) == (PROBLEM, "python -m mistudio_trainer")
    assert trainer.message == "No worker serves the queue training, and 1 job waits for one."


def test_nobody_at_all() -> None:
    command = "python -m mistudio_runtime.worker --services all"
    assert only(queues([], [])) == (WARNING, "No worker serves any queue.", command)


def test_a_draining_worker_serves_nothing() -> None:
    workers = everybody()
    for status in workers:
        status.draining = True
    assert only(queues([], workers))[1] == "No worker serves any queue."


def test_jobs_that_wait_although_a_slot_is_free() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED, age=91), job(v1.JOB_STATE_QUEUED, age=5, id="job-2")]
    (waiting,) = [one for one in waits(jobs, everybody()) if one.jobs]
    assert waiting.stuck(NOW) == {"job-1"}
    sentence = "1 job of the queue training waits although trainer@h has a free slot."
    assert only(queues(jobs, everybody(), frozenset({"job-1"}))) == (WARNING, sentence, "mistudio jobs get job-1")
    assert only(queues(jobs, everybody()))[0] == OK  # at the second look it did not wait any more


def test_a_paused_queue() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED, age=500)]
    found = waits(jobs, everybody(), {"training": Pause("the disk is full", NOW)})
    assert not any(waiting.stuck(NOW) for waiting in found)
    sentence = "The queue training is paused since 2026-01-01 12:00 UTC (the disk is full), and 1 job waits."
    assert only(check_queues(found, frozenset(), NOW)) == (WARNING, sentence, "mistudio queues resume training")


def test_a_job_that_waits_for_a_device_is_not_stuck() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED, age=500), job(v1.JOB_STATE_QUEUED, age=500, id="job-2")]
    found = waits(jobs, everybody(), without_device="job-1")
    assert [waiting.stuck(NOW) for waiting in found if waiting.jobs] == [{"job-2"}]


def test_a_job_that_backs_off_does_not_wait() -> None:
    backing_off = job(v1.JOB_STATE_QUEUED, age=500)
    backing_off.not_before.FromDatetime(NOW + timedelta(seconds=9))
    assert only(queues([backing_off], everybody()))[1] == "All 6 queues are served, and no job waits."


def test_jobs_without_messages() -> None:
    jobs = [job(v1.JOB_STATE_QUEUED, age=100, id=f"job-{n}") for n in range(3)]
    waiting = waits(jobs, everybody())
    assert not check_messages(waiting, {"training-p5": 2, "training-p9": 1}, NOW)
    assert not check_messages(waiting, {}, NOW)  # the broker was not asked
    severity, sentence, _ = only(check_messages(waiting, {"training-p5": 1, "training-p9": 0}, NOW))
    assert severity == WARNING
    assert "3 jobs of the queue training should have a message, but the broker has 1" in sentence


def test_workers() -> None:
    assert only(check_workers([], 10, NOW))[0] == PROBLEM
    busy, draining = worker(), worker("curator")
    busy.running.add(job_id="job-1", queue="training")
    draining.draining = True
    sentence = "2 workers (trainer@h and curator@h) with 1 running job"
    assert only(check_workers([busy, draining], 10, NOW)) == (
        OK,
        f"{sentence}; curator@h takes no new jobs, because it drains.",
        "",
    )


def test_a_silent_worker() -> None:
    assert only(check_workers([worker(silent=7)], 10, NOW))[0] == OK
    sentence = "trainer@h was last heard of 8 s ago: its jobs run elsewhere if it stays silent."
    assert only(check_workers([worker(), worker(silent=8)], 10, NOW)) == (WARNING, sentence, "mistudio logs trainer")


def test_versions() -> None:
    assert only(check_versions("1.2.0", "1.2.0", [worker()])) == (
        OK,
        "This client, the gateway and 1 worker run 1.2.0.",
        "",
    )
    assert only(check_versions("", "1.2.0", []))[1] == "The gateway runs 1.2.0."


@pytest.mark.parametrize(
    ("client", "gateway", "sentence", "newest"),
    [
        ("1.10.0", "1.9.0", "The gateway runs 1.9.0, but this client 1.10.0: upgrade the gateway.", "1.10.0"),
        ("1.2.0", "1.10.0", "The gateway runs 1.10.0, but this client 1.2.0: upgrade this client.", "1.10.0"),
    ],
)
def test_the_older_is_to_be_upgraded(client: str, gateway: str, sentence: str, newest: str) -> None:
    (found,) = bad(check_versions(client, gateway, []))
    assert found.message == sentence
    assert found.command == f'pip install --upgrade "mistudio[all]=={newest}"'


def test_workers_of_another_version_are_named() -> None:
    (found,) = bad(check_versions("1.2.0", "1.2.0", [worker(version="1.1.0"), worker("curator", version="1.1.0")]))
    assert "trainer@h and curator@h 1.1.0: upgrade trainer@h and curator@h" in found.message


def ahead(status: v1.WorkerStatus, seconds: float) -> v1.WorkerStatus:
    status.host_status.clock_offset.FromTimedelta(timedelta(seconds=seconds))
    return status


def test_clocks() -> None:
    agreeing = [ahead(worker(), 1.9), ahead(worker("curator", host="i"), -0.1)]
    assert only(check_clocks(agreeing, 0.001))[1] == "The clocks of the gateway, h, i and the broker agree within 2 s."
    assert only(check_clocks([worker()], None))[0] == OK
    (host, broker) = bad(check_clocks([ahead(worker(), -300)], 2.5))
    assert host.message == "The clock of h is 5 min behind the gateway's."
    assert broker.message == "The clock of the broker is 2 s ahead of the gateway's."
    assert {host.severity, broker.severity} == {WARNING}
    assert host.command == "sudo timedatectl set-ntp true"


def test_a_message_that_was_late_is_no_skew() -> None:
    assert not bad(check_clocks([ahead(worker(), -9), ahead(worker("curator"), -0.1)], None))
    offset = ClockOffset()
    assert offset.observe(timedelta(seconds=-3)) == timedelta(seconds=-3)
    assert offset.observe(timedelta(seconds=-0.1)) == timedelta(seconds=-0.1)
    assert offset.observe(timedelta(seconds=-4)) == timedelta(seconds=-0.1)
    for _ in range(8):  # the clock was really set back
        best = offset.observe(timedelta(seconds=-60))
    assert best == timedelta(seconds=-60)


def disk(free: float, purpose: str = "home", path: str = "/data") -> v1.Disk:
    return v1.Disk(purpose=purpose, path=path, total_bytes=100 * GIB, free_bytes=int(free * GIB), writable=True)


def test_disks() -> None:
    ours, downloader, other = ("h", disk(50)), worker("ingest", host="i"), worker("curator", host="i")
    downloader.host_status.disks.append(disk(40, "model cache", "/cache"))
    other.host_status.disks.append(disk(0.1, "model cache", "/cache-that-it-never-uses"))
    sentence = "Every disk has room; the least, 40 GiB, is for the model cache, /cache."
    assert only(check_disks(ours, [downloader, other])) == (OK, sentence, "")
    downloader.host_status.disks[0].free_bytes = GIB // 2
    severity, sentence, _ = only(check_disks(ours, [downloader, other]))
    assert severity == PROBLEM
    assert sentence.startswith("The disk of the model cache of i, /cache, is full: only 512 MiB")


def test_a_disk_that_several_workers_share_is_one_finding() -> None:
    workers = [worker(), worker("curator")]
    for status in workers:
        status.host_status.disks.append(disk(3))
    assert only(check_disks(("h", disk(3)), workers))[0] == WARNING


def test_devices() -> None:
    gpu = worker()
    gpu.host_status.devices.add(name="cuda:0", model="NVIDIA H200", total_memory_bytes=139 * GIB, free_memory_bytes=GIB)
    assert only(check_devices([gpu, worker("curator")])) == (
        OK,
        "trainer@h can use cuda:0 (NVIDIA H200, 1 GiB of 139 GiB free).",
        "",
    )
    assert only(check_devices([worker()])) == (OK, "No worker has a GPU, so training runs on the CPU.", "")
    broken = [worker(), worker("extractor")]
    for status in broken:
        status.host_status.device_problem = "the installed torch 2.13.0+cpu is not built for CUDA"
    severity, sentence, command = only(check_devices(broken))
    assert severity == WARNING
    assert sentence.startswith("trainer@h and extractor@h cannot use the GPU: the installed torch 2.13.0+cpu")
    assert command.startswith("pip install")


def test_jobs() -> None:
    old = job(v1.JOB_STATE_FAILED, age=90_000)
    assert only(check_jobs(records(old), NOW)) == (OK, "1 job in the ledger, and none failed in the last day.", "")
    failed = [job(v1.JOB_STATE_FAILED, age=60, failure=v1.Failure(reason=why)) for why in ("MEMORY_LIMIT", "TOY")]
    sentence = "2 jobs failed in the last 24 hours (MEMORY_LIMIT and TOY)."
    assert only(check_jobs(records(old, *failed), NOW)) == (WARNING, sentence, "mistudio jobs list --state failed")


def test_a_job_that_loses_its_workers() -> None:
    attempts = [
        v1.Attempt(number=n, worker=f"trainer@{n}", outcome=outcome)
        for n, outcome in enumerate([v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_RELEASED, v1.ATTEMPT_OUTCOME_LOST])
    ]
    running = job(v1.JOB_STATE_RUNNING, attempts=attempts)
    severity, sentence, command = only(check_jobs(records(running), NOW))
    assert (severity, command) == (WARNING, "mistudio jobs get job-1")
    assert sentence == "job-1 lost its worker again and again (2 times, last on trainer@0 and trainer@2)."
    assert only(check_jobs(records(job(v1.JOB_STATE_RUNNING, attempts=attempts[:2])), NOW))[0] == OK


def test_streams() -> None:
    facts = BrokerFacts("b:4222", connected=True, round_trip=0.001, jetstream=True, messages={"training-p5": 0})
    facts.streams = [StreamFacts("JOBS"), StreamFacts("EVENTS")]
    facts.consumers = StreamFacts("JOBS")
    assert only(check_streams(facts)) == (OK, "JOBS, EVENTS and 1 consumer are as this gateway makes them.", "")
    facts.streams[0].missing = True
    facts.consumers.differences = ["ack_wait is 10.0, not 20.0"]
    missing, different = bad(check_streams(facts))
    assert missing.severity == PROBLEM
    assert different.message == "This gateway would make the consumers of JOBS otherwise: ack_wait is 10.0, not 20.0."
    assert only(check_streams(BrokerFacts("b:4222")))[0] == WARNING


def schedule(**fields: object) -> v1.Schedule:
    made = v1.Schedule(name="nightly", **fields)  # type: ignore[arg-type]
    if not made.paused:
        made.next_time.FromDatetime(NOW)
    return made


def test_schedules() -> None:
    failed = job(v1.JOB_STATE_FAILED, id="job-7", failure=v1.Failure(reason="UNEXPECTED"))
    find = {"job-7": failed, "job-8": job(v1.JOB_STATE_SUCCEEDED)}.get
    assert only(check_schedules([], find)) == (OK, "There are no schedules.", "")
    fine = "2 schedules, 1 of them paused, and the last time of none had a problem."
    assert only(check_schedules([schedule(last_job_id="job-8"), schedule(paused=True)], find)) == (OK, fine, "")
    problem = "At 2026-01-01 02:17:00 UTC no job was submitted: the queues are full. Try again."
    skipped = "The schedule nightly had a problem: " + problem.replace(". ", "; ")
    assert only(check_schedules([schedule(last_problem=problem)], find)) == (WARNING, skipped, "mistudio schedules")
    sentence = "The last job of the schedule nightly, job-7, failed (UNEXPECTED)."
    assert only(check_schedules([schedule(last_job_id="job-7")], find)) == (
        WARNING,
        sentence,
        "mistudio jobs get job-7",
    )
    assert "has no next time" in only(check_schedules([v1.Schedule(name="nightly")], find))[1]


def test_schedules_that_cannot_be_looked_at() -> None:
    old = "The broker is older than nats-server 2.12, so schedules do not run."
    assert only([cannot_look(FailedPreconditionError(old))])[:2] == (WARNING, old)
    for error in (UnavailableError("the broker does not answer"), TimeoutError()):
        assert only([cannot_look(error)])[2] == "mistudio doctor"
