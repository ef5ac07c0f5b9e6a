"""Jobs that the mesh submits by itself: a real broker, gateways that are killed, and a table of the test's own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import nats
import pytest
from nats.js.api import StreamConfig

from mistudio import v1
from mistudio_gateway.job_ids import job_id
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import Mesh, free_port
from support.waiting import eventually

TICK = '[schedules.tick]\nevery = "@every 1s"\nkind = "collect_garbage"\n'
NIGHTLY = '[schedules.nightly]\nevery = "0 30 3 * * *"\ntime_zone = "Europe/Berlin"\nkind = "collect_garbage"\n'


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        declare(mesh, TICK)
        yield mesh


def declare(mesh: Mesh, table: str) -> None:
    (mesh.home / "schedules.toml").write_text(table)


def schedules(mesh: Mesh) -> v1.ScheduleServiceStub:
    return v1.ScheduleServiceStub(mesh.channel)


async def told(mesh: Mesh) -> dict[str, v1.Schedule]:
    answer = await schedules(mesh).ListSchedules(v1.ListSchedulesRequest(), timeout=10)
    return {schedule.name: schedule for schedule in answer.schedules}


async def jobs(mesh: Mesh, schedule: str = "tick") -> list[v1.Job]:
    request = v1.ListJobsRequest(labels={"schedule": schedule}, page_size=1000)
    return [*(await mesh.jobs.ListJobs(request, timeout=10)).jobs]


async def at_least(mesh: Mesh, count: int) -> list[v1.Job]:
    async def there() -> list[v1.Job]:
        try:
            found = await jobs(mesh)
        except grpc.aio.AioRpcError:
            return []
        return found if len(found) >= count else []

    return await eventually(there, what=f"{count} jobs of the schedule", period=0.1)


async def stop(mesh: Mesh, signum: signal.Signals = signal.SIGTERM) -> None:
    gateway = mesh.processes.pop()
    gateway.send_signal(signum)
    await asyncio.to_thread(gateway.wait, 20)


async def test_of_two_gateways_one_submits_each_time_and_a_kill_stops_nothing(mesh: Mesh) -> None:
    await mesh.gateway()
    second = mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=f"127.0.0.1:{free_port()}")
    await mesh.toy()
    found = await at_least(mesh, 3)
    second.send_signal(signal.SIGKILL)
    await asyncio.to_thread(second.wait, 20)
    mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=f"127.0.0.1:{free_port()}")
    found = await at_least(mesh, len(found) + 2)
    moments = sorted(job.create_time.ToDatetime(UTC) for job in found)
    assert len(found) <= (moments[-1] - moments[0]).total_seconds() + 2, "not more than one job a second"
    schedule = (await told(mesh))["tick"]
    assert schedule.last_job_id in {job.id for job in await jobs(mesh)}
    await eventually(lambda: next_is_armed(mesh), what="the next time is told")


async def next_is_armed(mesh: Mesh) -> bool:
    """Tells whether the next time is behind the last; for a moment after one came due it is not."""
    schedule = (await told(mesh))["tick"]
    return schedule.next_time.ToDatetime(UTC) > schedule.last_time.ToDatetime(UTC)


async def test_a_message_that_comes_again_is_the_same_job(mesh: Mesh, nats_server: NatsServer) -> None:
    declare(mesh, NIGHTLY)
    await mesh.gateway()
    await mesh.toy()
    due = v1.Schedule(name="nightly")
    due.next_time.FromDatetime(datetime(2026, 1, 1, 3, 30, tzinfo=UTC))
    client = await nats.connect(nats_server.url)
    for delivery in range(1, 4):
        await client.jetstream().publish(names.due_subject("nightly"), due.SerializeToString())
        await eventually(lambda: dealt_with(client), what=f"delivery {delivery} is acknowledged")
    await client.close()
    (job,) = await jobs(mesh, "nightly")
    assert job.id == job_id("schedule nightly 2026-01-01T03:30:00+00:00")
    assert (await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)).kind == "collect_garbage"
    schedule = (await told(mesh))["nightly"]
    assert (schedule.last_job_id, schedule.last_problem) == (job.id, "")
    assert schedule.next_time.ToDatetime(UTC).hour in (1, 2)


async def dealt_with(client: nats.NATS) -> bool:
    info = await client.jetstream().stream_info(names.SCHEDULES_STREAM, subjects_filter="mistudio.due.*")
    return not info.state.subjects


async def test_what_came_due_while_all_was_down_is_made_up_for_once(mesh: Mesh, nats_server: NatsServer) -> None:
    declare(mesh, TICK.replace("1s", "3s"))
    await mesh.gateway()
    missed = (await told(mesh))["tick"].next_time.ToDatetime(UTC)
    await stop(mesh, signal.SIGKILL)
    nats_server.kill()
    back = missed + timedelta(seconds=4)
    await eventually(lambda: datetime.now(UTC) > back, what="two times have passed")
    nats_server.start()
    await mesh.gateway()
    await mesh.toy()
    found = sorted(await at_least(mesh, 2), key=lambda job: job.create_time.ToNanoseconds())
    times = {job_id(f"schedule tick {(missed + n * timedelta(seconds=3)).isoformat()}"): n for n in range(200)}
    made_up, *others = [times[job.id] for job in found]
    assert made_up == 0
    assert 1 not in others, "one makes up for all that was missed"


@pytest.mark.slow
async def test_the_brokers_crash_stops_no_schedule(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.gateway()
    await mesh.toy()
    found = await at_least(mesh, 1)
    nats_server.restart()
    await at_least(mesh, len(found) + 2)


async def test_jobs_are_not_piled_up(mesh: Mesh) -> None:
    await mesh.gateway()

    async def skipped() -> v1.Schedule | None:
        schedule = (await told(mesh))["tick"]
        return schedule if schedule.last_problem else None

    schedule = await eventually(skipped, what="a time is skipped", period=0.1)
    assert schedule is not None
    assert schedule.last_problem.endswith(f"{schedule.last_job_id} of the time before is still QUEUED.")
    assert [job.id for job in await jobs(mesh)] == [schedule.last_job_id]
    answer = await v1.MeshServiceStub(mesh.channel).CheckMesh(v1.CheckMeshRequest(), timeout=20)
    assert "still QUEUED" in next(finding for finding in answer.findings if finding.check == "schedules").message
    await mesh.toy()
    await at_least(mesh, 2)


@pytest.mark.slow
async def test_a_pause_outlives_restarts_and_a_changed_table_is_applied(mesh: Mesh) -> None:
    declare(mesh, TICK + NIGHTLY)
    await mesh.gateway()
    before = (await told(mesh))["nightly"]
    assert before.next_time.ToDatetime(UTC).hour in (1, 2), "half past three in Berlin"
    for _ in range(2):
        answer = await schedules(mesh).PauseSchedule(v1.PauseScheduleRequest(schedule="tick"), timeout=10)
        assert answer.schedule.paused
        assert answer.schedule.HasField("pause_time")
        assert not answer.schedule.HasField("next_time")
    count = len(await jobs(mesh))
    await stop(mesh)
    declare(mesh, TICK + NIGHTLY.replace("30 3", "30 4"))
    await mesh.gateway()
    found = await told(mesh)
    assert found["tick"].paused
    assert found["nightly"].next_time.ToDatetime(UTC).hour == before.next_time.ToDatetime(UTC).hour + 1
    assert len(await jobs(mesh)) == count
    await schedules(mesh).ResumeSchedule(v1.ResumeScheduleRequest(schedule="tick"), timeout=10)
    await at_least(mesh, count + 1)
    await stop(mesh)
    declare(mesh, TICK)
    await mesh.gateway()
    assert [*await told(mesh)] == ["tick"]


async def test_a_schedule_is_run_by_hand(mesh: Mesh) -> None:
    declare(mesh, NIGHTLY)
    await mesh.gateway()
    request = v1.RunScheduleRequest(schedule="nightly", request_id="once")
    first, again = [(await schedules(mesh).RunSchedule(request, timeout=10)).job for _ in range(2)]
    assert first.id == again.id
    assert first.labels == {"schedule": "nightly"}
    assert "No worker serves" in first.diagnosis
    assert (await told(mesh))["nightly"].last_job_id == first.id
    for call in (schedules(mesh).RunSchedule, schedules(mesh).PauseSchedule):
        with pytest.raises(grpc.aio.AioRpcError, match="there is no schedule 'x'; `mistudio schedules`") as caught:
            await call(v1.PauseScheduleRequest(schedule="x"), timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_broker_without_schedules_is_no_reason_to_end(mesh: Mesh, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    older = StreamConfig(name=names.SCHEDULES_STREAM, subjects=["mistudio.schedules.*", "mistudio.due.*"])
    await client.jetstream().add_stream(older)
    await client.jetstream().publish("mistudio.schedules.old", b"")
    await client.close()
    await mesh.gateway()
    with pytest.raises(grpc.aio.AioRpcError, match="so schedules do not run") as caught:
        await told(mesh)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    answer = await v1.MeshServiceStub(mesh.channel).CheckMesh(v1.CheckMeshRequest(), timeout=20)
    (finding,) = [finding for finding in answer.findings if finding.check == "schedules"]
    assert finding.severity == v1.SEVERITY_WARNING
    assert finding.message == caught.value.details()
    assert (await schedules(mesh).RunSchedule(v1.RunScheduleRequest(schedule="tick"), timeout=10)).job.id
