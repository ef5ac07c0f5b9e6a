"""The profile `full` under load: every container dies once, and the whole stack goes down and comes up again."""

from __future__ import annotations

from compose_stack import ComposeStack
from demo_jobs import RECIPE, assert_made_once, finish, submit_demo, submit_small, until_it_works
from docker_engine import docker, inspect, is_healthy, status

import mistudio
from mistudio import JobState
from mistudio.cli.demo.recipe import SMALL
from support.waiting import eventually

SMALL_JOBS = 10


def names(client: mistudio.Client, service: str) -> set[str]:
    """Returns the names of a service's workers that take jobs."""
    workers = client.workers.list()
    return {one.worker.name for one in workers if service in one.worker.services and not one.draining}


async def test_every_container_dies_once_and_nothing_is_lost_or_done_twice(full: ComposeStack) -> None:
    with full.client() as client:
        run = submit_demo(client)
        jobs = [*run.jobs.values()]
        for service, step, progress in (
            ("ingest", "dataset", 0.0),
            ("trainer", "sae", 0.3),
            ("extractor", "features", 0.1),
        ):
            await until_it_works(run.jobs[step], progress)
            await full.crash(service)
        for service in ("broker", "gateway", "curator"):
            again = submit_demo(client, SMALL)
            jobs += [*again.jobs.values(), *submit_small(client, SMALL_JOBS)]
            assert not again.jobs["features"].refresh().state.is_over
            await full.crash(service)
            jobs += submit_small(client, SMALL_JOBS)
        made = finish(jobs)
        assert_made_once(client, made)
        [features] = made[run.jobs["features"].id]
        assert [feature.latent for feature in client.features.list(features, page_size=5)]


def test_files_of_the_host_are_read_and_exports_are_written(full: ComposeStack) -> None:
    with full.client() as client:
        job = client.jobs.submit(mistudio.DownloadDataset(local=mistudio.v1.LocalFiles(paths=["/files/notes.txt"])))
        [dataset] = job.result(timeout=120)
        assert client.datasets.preview(dataset).total_rows > 0
        sae = finish(submit_demo(client, SMALL).jobs.values())
        artifact = next(ids[0] for ids in sae.values() if ids[0].startswith("sae-"))
        export = mistudio.ExportSae(sae=mistudio.ref(artifact), local_path="/exports/demo")
        client.jobs.submit(export).result(timeout=120)
        assert "cfg.json" in full.execute("ingest", "ls", "/exports/demo")


async def test_what_an_operator_kills_stays_down_until_the_next_up(full: ComposeStack) -> None:
    with full.client() as client:
        run = submit_demo(client)
        await until_it_works(run.jobs["sae"], 0.3)
        trainer = full.container("trainer")
        docker("kill", "--signal", "KILL", trainer)

        def missed() -> bool:
            return "No worker serves the queue training" in run.jobs["sae"].refresh().diagnosis

        await eventually(missed, within=120, what="the job says what is missing")
        assert status(trainer)[0] == "exited"
        full.up()
        assert is_healthy(trainer)
        assert_made_once(client, finish(run.jobs.values()))


async def test_down_and_up_lose_nothing(full: ComposeStack) -> None:
    with full.client() as client:
        before = {job.id: (job.state, job.artifact_ids) for job in client.jobs.list() if job.state.is_over}
        artifacts = {artifact.id for artifact in client.artifacts.list()}
        run = submit_demo(client)
        await until_it_works(run.jobs["sae"], 0.3)
    full.compose("stop")
    for service in full.services():
        assert inspect(full.container(service))["State"]["ExitCode"] == 0, f"{service} was killed"
    full.compose("down")
    assert full.compose("ps", "--all", "--quiet") == ""
    full.up()
    with full.client() as client:
        made = finish(client.jobs.get(job.id) for job in run.jobs.values())
        assert_made_once(client, made)
        after = {job.id: (job.state, job.artifact_ids) for job in client.jobs.list()}
        assert {job_id: after[job_id] for job_id in before} == before
        assert artifacts <= {artifact.id for artifact in client.artifacts.list()}
        events = [event for event in client.jobs.watch(run.jobs["sae"].id) if event.HasField("metric")]
        last = max(event.attempt for event in events)
        assert last > 1
        assert min(event.metric.tokens for event in events if event.attempt == last) >= 0.2 * RECIPE.total_tokens


async def test_a_second_trainer_takes_a_second_job(full: ComposeStack) -> None:
    full.up("--scale", "trainer=2")
    with full.client() as client:
        await eventually(lambda: len(names(client, "trainer")) == 2, within=60, what="two trainers are attached")
        run = submit_demo(client)
        finish([run.jobs["tokens"]])
        request = mistudio.TrainSae()
        request.CopyFrom(run.jobs["sae"].refresh().proto.spec.train_sae)
        second = client.jobs.submit(request)

        def side_by_side() -> bool:
            return {run.jobs["sae"].refresh().state, second.refresh().state} == {JobState.RUNNING}

        await eventually(side_by_side, within=120, what="two trainings at a time")
        assert len({job.proto.attempts[-1].worker for job in (run.jobs["sae"], second)}) == 2
        assert_made_once(client, finish([*run.jobs.values(), second]))
