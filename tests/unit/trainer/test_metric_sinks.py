"""Where metric points go besides: TensorBoard's files, Weights & Biases."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistudio.v1 import AttemptReport, MetricPoint
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from mistudio_trainer.event_files import EventFiles
from mistudio_trainer.metric_sink import run_name
from mistudio_trainer.metrics_log import MetricsLog, read_log
from mistudio_trainer.metrics_tail import MetricsTail
from mistudio_trainer.train_sae import run
from support.workshop import HOOK, RecordedJob, Workshop

RUN = f"{HOOK}-topk-24-k4"


def shown(folder: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard shows of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def write(folder: Path, *points: tuple[int, float]) -> EventFiles:
    files = EventFiles(folder)
    for step, value in points:
        files.add("loss", value, step, 1e9 + step)
    return files


def dying(job: RecordedJob, tokens: int) -> Callable[[AttemptReport], None]:
    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "train" and report.progress.done >= tokens:
            raise KeyboardInterrupt

    return watch


@pytest.fixture
def inputs(workshop: Workshop) -> tuple[str, str]:
    model = workshop.add_model()
    return model, workshop.add_tokens(model)


def test_a_resumed_job_shows_each_point_once_in_tensorboard(workshop: Workshop, inputs: tuple[str, str]) -> None:
    spec = workshop.training(*inputs, total_tokens=64 * 40, checkpoint_every_tokens=64 * 15, tensorboard=True)
    first = workshop.job("job-parts")
    first.watch = dying(first, 64 * 28)
    with pytest.raises(KeyboardInterrupt):
        run(spec, first)
    live = shown(first.scratch / "tensorboard" / RUN, "loss")
    (sae,) = run(spec, workshop.job("job-parts", attempt=2))

    assert [step for step, _ in live] == [10, 20]  # the checkpoint was made after 15: 20 is measured twice
    kept = workshop.store.path(sae) / "tensorboard"
    points = {point.step: point.value for point in read_log(first.scratch / "metrics.jsonl") if point.name == "loss"}
    assert shown(kept, "loss") == [(step, pytest.approx(value)) for step, value in sorted(points.items())]
    assert [step for step, _ in shown(kept, "loss")] == [10, 20, 30, 40]
    assert [step for step, _ in shown(kept, "evaluation/l0")] == [40]
    assert any("tensorboard --logdir" in line for line in first.logs)


def test_a_training_that_went_back_is_shown_as_it_went_on(tmp_path: Path) -> None:
    write(tmp_path, (10, 1.0), (20, 2.0), (30, 3.0), (20, 5.0), (30, 6.0)).close()
    assert shown(tmp_path, "loss") == [(10, 1.0), (20, 5.0), (30, 6.0)]
    write(tmp_path, (20, 5.0), (30, 6.0), (40, 7.0)).close()
    assert shown(tmp_path, "loss") == [(10, 1.0), (20, 5.0), (30, 6.0), (40, 7.0)]


def test_half_a_record_is_no_end(tmp_path: Path) -> None:
    write(tmp_path, (10, 1.0), (20, 2.0)).close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    write(tmp_path, (10, 1.0), (20, 2.0), (30, float("nan")), (30, float("nan")), (40, 1e300)).close()
    assert [step for step, _ in shown(tmp_path, "loss")] == [10, 20, 30, 40]


@pytest.mark.parametrize("field", [{"tensorboard": True}, {"wandb_project": "p"}])
def test_a_missing_package_is_said_before_anything_else(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, field: dict[str, object]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PermanentFailure, match=r"install it there with pip install 'mistudio\[") as failed:
        run(workshop.training("model-gone-0", "tokens-gone-0", **field), workshop.job("job-one"))
    assert failed.value.reason == "MISSING_PACKAGE"


def records(data: bytes) -> list[bytes]:
    """What a file in LevelDB's log format holds, behind the seven bytes with which Weights & Biases begins it."""
    found, part, at = [], b"", 7
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:  # whole, or the last part
            found.append(part)
            part = b""
    return found


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What was written for Weights & Biases, by run id."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        read = [Record.FromString(data) for data in records(file.read_bytes())]
        runs = {record.run.run_id for record in read if record.HasField("run")}
        if not runs:  # a pause ended its process before it had begun
            continue
        (run_id,) = runs
        for record in read:
            if record.HasField("history"):
                items = record.history.item
                row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
                found.setdefault(run_id, []).append({"_step": record.history.step.num, **row})
    return found


def test_weights_and_biases_gets_each_row_once(
    workshop: Workshop, inputs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    spec = workshop.training(*inputs, total_tokens=64 * 40, checkpoint_every_tokens=64 * 15, wandb_project="p")
    first = workshop.job("job-parts")
    stopping = dying(first, 64 * 28)

    def pause(report: AttemptReport) -> None:
        try:
            stopping(report)
        except KeyboardInterrupt:
            first.request_stop(Stop.PAUSE)

    first.watch = pause
    with pytest.raises(JobStoppedError):
        run(spec, first)
    second = workshop.job("job-parts", attempt=2)
    run(spec, second)

    assert not [line for line in (*first.logs, *second.logs) if "Weights & Biases" in line]
    (rows,) = rows_of(tmp_path).values()
    assert list(rows_of(tmp_path)) == [f"job-parts-{RUN}"]
    assert [row["_step"] for row in rows] == [10, 20, 30, 40]
    losses = [point.value for point in read_log(first.scratch / "metrics.jsonl") if point.name == "loss"]
    assert [row["loss"] for row in rows] == pytest.approx(losses)
    assert "evaluation/l0" in rows[-1]


def test_a_follower_that_fails_is_one_warning_without_the_key(
    workshop: Workshop, inputs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "not-a-mode-secret")
    monkeypatch.setenv("WANDB_API_KEY", "not-a-mode-secret")
    job = workshop.job("job-one")
    (sae,) = run(workshop.training(*inputs, total_tokens=64 * 40, wandb_project="p"), job)
    (line,) = [line for line in job.logs if "Weights & Biases" in line]
    assert "the artifact has them all" in line
    assert "secret" not in line
    assert workshop.store.exists(sae)


def test_names_that_look_alike_stay_apart() -> None:
    names = ["a/b", "a_b", "a b", "../../a", "x" * 300, "x" * 301]
    runs = [run_name(MetricPoint(labels={"sae": name, "hook_point": "layer.1.mlp_out"})) for name in names]
    assert len(set(runs)) == len(names)
    assert not any("/" in run or run.startswith(".") or len(run) > 120 for run in runs)


def test_a_tail_reads_each_whole_line_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = MetricsTail(path)
    assert tail.read() == []
    with MetricsLog(path) as log:
        log.append(MetricPoint(name="loss", step=1))
        assert [point.step for point in tail.read()] == [1]
        with path.open("a") as file:
            file.write('no point\n{"name": "lo')
        assert tail.read() == []
        with path.open("a") as file:
            file.write('ss", "step": "2"}\n')
        assert [point.step for point in tail.read()] == [2]
