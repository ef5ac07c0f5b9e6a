"""What people see, from real messages, on a console that writes to a string."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, RenderableType

from mistudio import v1
from mistudio.cli.follow.board import Board
from mistudio.cli.follow.plain import PlainView
from mistudio.cli.render import units
from mistudio.cli.render.artifacts import render_artifact, render_artifacts
from mistudio.cli.render.board import render_board, render_end
from mistudio.cli.render.datasets import render_rows, render_tokens
from mistudio.cli.render.features import render_feature, render_features, sparkline
from mistudio.cli.render.jobs import render_job, render_jobs
from mistudio.cli.render.queues import render_queues, render_route
from mistudio.cli.render.tokens import highlight, shade
from mistudio.cli.render.traces import render_traces
from mistudio.cli.render.training import render_estimate, render_metrics
from mistudio.cli.render.workers import render_workers


def shown(what: RenderableType, *, width: int = 120, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


def running(**progress: object) -> v1.Job:
    job = v1.Job(id="job-1", kind="train_sae", step="sae", queue="training", priority=5, max_attempts=3)
    job.state = v1.JOB_STATE_RUNNING
    job.progress.CopyFrom(v1.Progress(**progress))  # type: ignore[arg-type]
    return job


def feature() -> v1.Feature:
    tokens = [(" for", 0.0), (" example", 6.0), (",\n", 1.5), (" x", 0.0)]
    example = v1.FeatureExample(
        tokens=[v1.TokenActivation(text=text, activation=value) for text, value in tokens], peak=1, activation=6.0
    )
    return v1.Feature(
        latent=24,
        density=0.0067,
        max_activation=6.0,
        interestingness=0.53,
        histogram_counts=[1, 0, 100, 4],
        examples=[example],
        top_logits=[v1.FeatureLogit(text=" see", logit=0.16)],
        bottom_logits=[v1.FeatureLogit(text="\n", logit=-0.2)],
        neighbours=[v1.FeatureNeighbour(latent=3, cosine=0.19)],
        label="[e.g.]",
        starred=True,
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (999.6, "1k"), (1500, "1.5k"), (1_500_000, "1.5M"), (5e12, "5T")]
)
def test_numbers(value: float, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (268_000, "268 kB"), (4e9, "4 GB"), (2e12, "2 TB")])
def test_sizes(value: float, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0s"), (9.96, "10s"), (59, "59s"), (92, "1m 32s"), (7500, "2h 05m"), (273_600, "3d 4h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert units.span(seconds) == text


def test_ago() -> None:
    assert units.ago(at(1000), datetime.fromtimestamp(1092, UTC)) == "1m 32s ago"
    assert units.ago(Timestamp()) == ""


def test_the_board_shows_stage_rate_and_time_left() -> None:
    job = running(fraction=0.43, stage="train", done=645_000, total=1_500_000, unit="tokens", rate=11_200.0)
    job.progress.eta.FromSeconds(92)
    text = shown(render_board(Board([job])))
    assert "sae" in text
    assert "43%" in text
    assert "train  645k/1.5M tokens  11.2k/s  1m 32s left" in text


def test_the_board_names_what_is_wrong_but_not_what_is_on_it() -> None:
    stuck = v1.Job(id="job-2", kind="train_sae", state=v1.JOB_STATE_QUEUED, diagnosis="nobody serves training")
    child = v1.Job(id="job-3", kind="x", state=v1.JOB_STATE_WAITING, diagnosis="waits for job-2", depends_on=["job-2"])
    text = shown(render_board(Board([stuck, child])))
    assert "nobody serves training" in text
    assert "waits for job-2" not in text
    assert "waits for job-2" in shown(render_board(Board([child])))


def test_a_finished_board() -> None:
    board = Board([running(fraction=0.9, stage="save")])
    done = v1.Job(id="job-1", kind="train_sae", state=v1.JOB_STATE_SUCCEEDED, artifact_ids=["sae-1"])
    done.start_time.seconds, done.end_time.seconds = 100, 192
    board.apply(v1.JobEvent(job_id="job-1", job=done))
    assert "100%" in shown(render_board(board))
    assert "sae-1 in 1m 32s" in shown(render_end(board))


def test_a_failed_job_comes_with_the_command_that_helps() -> None:
    failure = v1.Failure(reason="MEMORY_LIMIT", message="halve batch_tokens")
    board = Board([v1.Job(id="job-1", kind="train_sae", state=v1.JOB_STATE_FAILED, failure=failure)])
    text = shown(render_end(board))
    assert "halve batch_tokens" in text
    assert "MEMORY_LIMIT; run it again: mistudio jobs retry job-1" in text


def test_plain_lines_tell_changes_once() -> None:
    console = Console(file=io.StringIO(), width=80)
    job = v1.Job(id="job-1", kind="train_sae", state=v1.JOB_STATE_QUEUED)
    with PlainView(console, Board([job])) as view:
        view.show(v1.JobEvent(job_id="job-1", job=job))
        for _ in range(2):
            view.show(v1.JobEvent(job_id="job-1", diagnosis="nobody serves training"))
        view.show(v1.JobEvent(job_id="job-1", job=running()))
        for done in range(100):
            progress = v1.Progress(fraction=done / 100, stage="train", done=done, total=100)
            view.show(v1.JobEvent(job_id="job-1", progress=progress))
        view.show(v1.JobEvent(job_id="job-1", log=v1.LogLine(level="info", message="checkpoint")))
        view.show(v1.JobEvent(job_id="job-1", log=v1.LogLine(level="debug", message="detail")))
        view.show(v1.JobEvent(job_id="job-1", metric=v1.MetricPoint(name="loss", value=0.5)))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.split(None, 2)[2] for line in lines[:3]] == ["queued", "nobody serves training", "running"]
    assert len(lines) == 3 + 10 + 1
    assert lines[-1].endswith("checkpoint")


def test_jobs() -> None:
    attempt = v1.Attempt(number=1, worker="trainer@a", start_time=at(5), end_time=at(97))
    attempt.outcome = v1.ATTEMPT_OUTCOME_LOST
    job = running(fraction=0.5, stage="train")
    job.attempts.extend([attempt, v1.Attempt(number=2, worker="trainer@b")])
    job.diagnosis = "[red]not markup[/red]"
    text = shown(render_jobs([job]))
    assert "job-1" in text
    assert "● running" in text
    assert "2/3" in text
    assert "[red]not markup[/red]" in text
    text = shown(render_job(job))
    assert "lost" in text
    assert "1m 32s" in text
    assert "training, priority 5" in text
    assert shown(render_jobs([])) == "no jobs\n"


def test_queues_without_workers_say_so() -> None:
    queue = v1.Queue(name="training", priority=5, slots=1, memory_limit_bytes=4_096_000_000, diagnosis="start one: x")
    text = shown(render_queues([queue, v1.Queue(name="datasets", workers=["w"], paused=True)]))
    assert "training: start one: x" in text
    assert "datasets paused" in text


def test_queues_show_what_there_is_room_for() -> None:
    queue = v1.Queue(
        name="training",
        priority=5,
        memory_limit_bytes=4_096_000_000,
        service="trainer",
        queued=42,
        waiting=7,
        running=3,
        total_slots=4,
        max_queued=1_000,
        jobs_per_minute=1.5,
        depths=[v1.PriorityDepth(priority=9, queued=2), v1.PriorityDepth(priority=5, queued=40)],
    )
    queue.oldest_wait.FromSeconds(192)
    wide = shown(render_queues([queue]), width=200)
    assert re.search(r"training +5 +42 +p9:2 p5:40 +3m12s +3 +4 +1\.5 +\? +7 +1k +4\.1 GB +trainer +none", wide)
    narrow = shown(render_queues([queue]), width=80)
    assert re.search(r"training +5 +42 +3m12s +3 +4 +1\.5 +\?", narrow)
    assert max(map(len, narrow.splitlines())) <= 80
    queue.time_to_drain.FromSeconds(90)
    assert "1m30s" in shown(render_queues([queue]), width=80)


def test_routes() -> None:
    route = v1.ExplainRouteResponse(queue="training", subject="mistudio.jobs.training.5", explanation="goes there")
    assert "mistudio.jobs.training.5" in shown(render_route(route))


def test_workers() -> None:
    worker = v1.Worker(name="trainer@a", queues=[v1.ServedQueue(queue="training", slots=2)])
    attempt = v1.RunningAttempt(job_id="job-1", queue="training", kind="train_sae", attempt=2, device="cuda:0")
    quick = v1.RunningAttempt(job_id="job-2", queue="training", kind="collect_garbage", attempt=1)
    attempt.rss_bytes = 1_200_000_000
    status = v1.WorkerStatus(worker=worker, running=[attempt, quick], rss_bytes=157_000_000, draining=True)
    status.gpu_memory_bytes = 3_000_000_000
    text = shown(render_workers([status]), width=200)
    assert "job-1 train_sae #2 on cuda:0, 1.2 GB" in text
    assert "job-2 collect_garbage #1 " in text
    assert "3 GB" in text
    assert "trainer@a draining" in text
    assert "training 2/2" in text
    assert "157 MB" in text
    assert "mistudio up" in shown(render_workers([]))


def test_artifacts() -> None:
    summary, parameters = Struct(), Struct()
    summary.update({"d_sae": 2048, "architecture": "topk", "metrics": {"l0": 32.0, "explained_variance": 0.7612}})
    parameters.update({"saes": [{"k": 32}]})
    artifact = v1.Artifact(
        id="sae-1", kind=v1.ARTIFACT_KIND_SAE, uri="file:///x", bytes=268_000, summary=summary, parameters=parameters
    )
    artifact.files.add(path="cfg.json", bytes=849, sha256="ab" * 32)
    assert "topk  d sae 2048  l0 32  explained variance 0.7612" in shown(render_artifacts([artifact]))
    text = shown(render_artifact(v1.GetArtifactResponse(artifact=artifact, child_ids=["features-1"])))
    for part in ("file:///x", "metrics.explained_variance", "0.7612", "k=32", "features-1", "cfg.json"):
        assert part in text


def test_rows_and_tokens() -> None:
    rows = v1.PreviewDatasetResponse(rows=[v1.DatasetRow(index=3, text="abc", truncated=True)], total_rows=1234)
    assert "abc…" in shown(render_rows(rows))
    assert "1,234 rows" in shown(render_rows(rows))
    tokens = [v1.Token(id=5, text=" a"), v1.Token(id=6, text="\n")]
    assert shown(render_tokens(tokens, colour=False)) == " a|↵\n5 6\n2 tokens\n"


def test_the_peak_is_marked_with_and_without_colour() -> None:
    texts, values = [" for", " example", ",\n"], [0.0, 6.0, 1.5]
    assert highlight(texts, values, 1, colour=False).plain == " for« example»,↵"
    coloured = shown(highlight(texts, values, 1, colour=True), colour=True)
    assert "\x1b[1;30;48;2;224;163;10m example" in coloured
    assert "«" not in coloured


def test_shades_grow_with_the_activation() -> None:
    assert shade(0.0) == ""
    assert len({shade(share / 10) for share in range(1, 11)}) == 5


def test_a_feature_with_context_logits_and_neighbours() -> None:
    text = shown(render_feature(feature(), examples=3, colour=False))
    for part in (
        "latent 24 ★ [e.g.]",
        "fires on 0.67%",
        " for« example»,↵ x",
        " see +0.16",
        "↵ -0.20",
        "3 (0.19)",
        "█",
    ):
        assert part in text
    assert "latent 24" in shown(render_feature(v1.Feature(latent=24, dead=True), examples=3, colour=False))


def test_the_peak_of_a_long_context_stays_in_sight() -> None:
    long = feature()
    tokens = [v1.TokenActivation(text=f" word{n}") for n in range(60)]
    tokens[50].activation = 6.0
    del long.examples[0].tokens[:]
    long.examples[0].tokens.extend(tokens)
    long.examples[0].peak = 50
    text = shown(render_feature(long, examples=1, colour=False, whole=False), width=80)
    assert "« word50»" in text
    assert " word20" not in text
    assert "« word50»" in shown(render_features([long], colour=False), width=120)


def test_a_list_of_features() -> None:
    text = shown(render_features([feature(), v1.Feature(latent=7, dead=True)], colour=False))
    assert "0.53" in text
    assert "« example»" in text
    assert "dead" in text
    assert shown(render_features([], colour=False)) == "no features match\n"


def test_sparklines() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 1, 100]) == " ▁█"
    assert len(sparkline([1] * 64)) == 32


def test_traces() -> None:
    trace = v1.FeatureTrace(latent=9, max_activation=2.0, activations=[0.0, 2.0])
    text = shown(render_traces(v1.ActivateTextResponse(tokens=["a", " b"], traces=[trace]), colour=False))
    assert "latent 9  max 2.00\na« b»\n" in text
    assert "no feature" in shown(render_traces(v1.ActivateTextResponse(), colour=False))


def test_training() -> None:
    points = [
        v1.MetricPoint(name="loss", value=value, step=step, labels={"sae": "s"}) for step, value in ((1, 4.0), (2, 2.5))
    ]
    text = shown(render_metrics(points))
    assert "loss" in text
    assert "2.5" in text
    assert "nothing measured yet" in shown(render_metrics([]))
    estimate = v1.EstimateTrainingResponse(host_memory_bytes=650_000_000)
    estimate.duration.FromSeconds(92)
    assert "650 MB" in shown(render_estimate(estimate))
