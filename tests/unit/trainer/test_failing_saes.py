"""What a training job leaves when something goes wrong on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mistudio import v1
from mistudio.v1 import AttemptReport, SaeSpec
from mistudio_runtime.jobs import JobStoppedError, Stop
from mistudio_sae.errors import ConfigError, DivergenceError
from mistudio_sae.tokens import TokensWriter
from mistudio_trainer.metrics_reader import MetricsQuery, MetricsReader
from mistudio_trainer.train_sae import run
from support.workshop import BOS, CONTEXT, HOOK, VOCAB, RecordedJob, Workshop

CALM = SaeSpec(d_sae=24, k=4)
WILD = SaeSpec(name="wild", architecture=v1.SAE_ARCHITECTURE_STANDARD, d_sae=24, learning_rate=1e30)


@pytest.fixture
def inputs(workshop: Workshop) -> tuple[str, str]:
    model = workshop.add_model()
    return model, workshop.add_tokens(model)


def levels(job: RecordedJob, words: str) -> list[str]:
    """The log lines with these words."""
    return [line for line in job.logs if words in line]


def test_a_job_succeeds_with_the_saes_that_did_not_diverge(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-sweep")
    hooks = [HOOK, "layer.0.mlp_out"]
    ids = run(workshop.training(*inputs, saes=[WILD, CALM], hook_points=hooks), job)

    assert ids == ["sae-sweep-1", "sae-sweep-3"]
    assert [workshop.store.get(sae).summary["hook_point"] for sae in ids] == hooks
    assert levels(job, f"wild on {HOOK} diverged and has no artifact; number 0 is left out")
    assert levels(job, "It is stopped after 1 rollback(s)")
    assert {point.labels["sae"] for point in job.metrics if point.name == "stopped"} == {"wild"}
    fractions = [p.fraction for p in job.progressed]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.99


def test_metrics_are_found_beside_a_missing_number(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-sweep")
    run(workshop.training(*inputs, saes=[WILD, CALM, SaeSpec(d_sae=24, k=2)]), job)
    (job.scratch / "metrics.jsonl").unlink()
    points = MetricsReader(workshop.store, workshop.settings.scratch).page(
        MetricsQuery("job-sweep", frozenset(("fvu",)))
    )[0]

    assert {point.labels["sae"] for point in points} == {"topk-24-k4", "topk-24-k2"}


def test_a_job_fails_for_good_when_every_sae_diverges(workshop: Workshop, inputs: tuple[str, str]) -> None:
    with pytest.raises(DivergenceError, match="lower the learning rate") as failure:
        run(workshop.training(*inputs, saes=[WILD]), workshop.job("job-wild"))

    assert failure.value.failure_reason == "INVALID_INPUT"
    assert not workshop.store.exists("sae-wild-0")


def test_a_paused_job_remembers_which_saes_are_stopped(workshop: Workshop, inputs: tuple[str, str]) -> None:
    spec = workshop.training(*inputs, saes=[WILD, CALM])
    first = workshop.job("job-sweep", attempt=1)

    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "train" and report.progress.done >= 320:
            first.request_stop(Stop.PAUSE)

    first.watch = watch
    with pytest.raises(JobStoppedError):
        run(spec, first)
    second = workshop.job("job-sweep", attempt=2)

    assert run(spec, second) == ["sae-sweep-1"]
    assert levels(first, "It is stopped after")
    assert not levels(second, "It is stopped after")


def test_a_model_that_breaks_on_some_token_fails_naming_the_hook_and_keeps_the_checkpoint(workshop: Workshop) -> None:
    broken = VOCAB - 1
    model = workshop.add_model()
    path = workshop.store.path(model) / "model.safetensors"
    break_embedding(path, broken)
    tokens = add_tokens_with_one(workshop, model, broken)
    job = workshop.job("job-broken")
    with pytest.raises(DivergenceError, match=rf"{HOOK}: the model's activations are not finite") as failure:
        run(workshop.training(model, tokens, total_tokens=64 * 60), job)

    assert failure.value.failure_reason == "INVALID_INPUT"
    assert any((job.scratch / "checkpoints").glob("step-*/manifest.json"))


def break_embedding(path: Path, token: int) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    tensors["transformer.wte.weight"][token] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})


def add_tokens_with_one(workshop: Workshop, model: str, token: int) -> str:
    """Tokens of which one of many blocks holds `token`; the harvest comes to it late with seed 0."""
    rng = np.random.default_rng(0)
    order = np.random.default_rng([0, 0]).permutation(128)
    with workshop.store.draft("tokens", job_id="job-rare", attempt=1, parents=[model]) as draft:
        with TokensWriter(
            draft.path, context_length=CONTEXT, vocab_size=VOCAB, tokenizer="tiny", bos_token_id=BOS
        ) as writer:
            ids = rng.integers(1, VOCAB - 1, 128 * CONTEXT)
            ids[int(order[100]) * CONTEXT + 3] = token
            writer.add_document(ids, 0, "train")
        return draft.commit()


def test_evaluations_on_the_way_are_part_of_the_curve(workshop: Workshop, inputs: tuple[str, str]) -> None:
    (sae,) = run(workshop.training(*inputs, evaluate_every_tokens=128), workshop.job("job-one"))

    curve = pq.read_table(workshop.store.path(sae) / "metrics.parquet").to_pylist()
    for name in ("evaluation/fvu", "evaluation/ce_recovered", "evaluation/kl", "evaluation/l0"):
        assert [row["step"] for row in curve if row["name"] == name] == [2, 4, 6, 8]


def stopping_in_an_evaluation(job: RecordedJob, stop: Stop) -> None:
    """Asks the job to stop while the second evaluation on the way is computed: after the first SAE's."""

    def watch(report: AttemptReport) -> None:
        if report.metric.name == "evaluation/fvu" and report.metric.step == 4:
            job.request_stop(stop)

    job.watch = watch


def test_a_pause_in_an_evaluation_waits_for_it_and_goes_on_to_the_same_result(
    workshop: Workshop, inputs: tuple[str, str]
) -> None:
    spec = workshop.training(*inputs, saes=[CALM, SaeSpec(d_sae=24, k=2)], evaluate_every_tokens=128)
    whole = run(spec, workshop.job("job-whole"))
    first = workshop.job("job-parts", attempt=1)
    stopping_in_an_evaluation(first, Stop.PAUSE)
    with pytest.raises(JobStoppedError) as stopped:
        run(spec, first)
    resumed = run(spec, workshop.job("job-parts", attempt=2))

    assert stopped.value.stop is Stop.PAUSE
    assert [p.labels["sae"] for p in first.metrics if (p.name, p.step) == ("evaluation/fvu", 4)] == [
        "topk-24-k4",
        "topk-24-k2",
    ]
    assert [curve(workshop, sae) for sae in resumed] == [curve(workshop, sae) for sae in whole]


def curve(workshop: Workshop, sae: str) -> list[tuple[str, int, float]]:
    rows = pq.read_table(workshop.store.path(sae) / "metrics.parquet").to_pylist()
    return sorted((row["name"], row["step"], row["value"]) for row in rows)


def test_a_cancel_in_an_evaluation_ends_the_job(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    stopping_in_an_evaluation(job, Stop.CANCEL)
    with pytest.raises(JobStoppedError) as stopped:
        run(workshop.training(*inputs, evaluate_every_tokens=128), job)

    assert stopped.value.stop is Stop.CANCEL
    assert not workshop.store.exists("sae-one-0")


def test_a_flipped_byte_in_a_checkpoint_costs_the_steps_since_the_one_before(
    workshop: Workshop, inputs: tuple[str, str]
) -> None:
    spec = workshop.training(*inputs)
    whole = run(spec, workshop.job("job-whole"))
    first = workshop.job("job-parts", attempt=1)

    def die(report: AttemptReport) -> None:
        if report.progress.stage == "train" and report.progress.done >= 320:
            raise KeyboardInterrupt

    first.watch = die
    with pytest.raises(KeyboardInterrupt):
        run(spec, first)
    path = max((first.scratch / "checkpoints").glob("step-*")) / "tensors.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    second = workshop.job("job-parts", attempt=2)
    resumed = run(spec, second)

    assert levels(second, f"checkpoint {path.parent.name} is damaged")
    assert levels(second, "resumed after 128 tokens")
    assert curve(workshop, resumed[0]) == curve(workshop, whole[0])


def test_prefixes_are_refused_by_an_architecture_without_them(workshop: Workshop, inputs: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="matryoshka_widths: topk has no prefixes; leave them out"):
        run(workshop.training(*inputs, saes=[SaeSpec(d_sae=24, k=4, matryoshka_widths=[8, 24])]), workshop.job("job-x"))


FULL_DISK = """
import json, resource, sys
from pathlib import Path
import torch
from mistudio import v1
from mistudio_trainer.train_sae import run
from support.workshop import Workshop

torch.set_num_threads(1)
workshop = Workshop(Path(sys.argv[1]))
spec = workshop.training(sys.argv[2], sys.argv[3])
job = workshop.job("job-full")
def watch(report):
    if report.progress.stage == "train" and report.progress.done >= 192:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    if report.progress.stage == "evaluate":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(json.dumps(sorted(path.name for path in (job.scratch / "checkpoints").iterdir())), flush=True)
job.watch = watch
run(spec, job)
print(json.dumps(job.logs))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the size of files")
def test_a_disk_that_fills_costs_checkpoints_and_not_the_job(workshop: Workshop, inputs: tuple[str, str]) -> None:
    home = str(workshop.settings.home)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, home, *inputs]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=150, check=False)

    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert json.loads(first) == ["step-000000000002"]
    logs = json.loads(last)
    assert [line for line in logs if "cannot be written" in line and "The checkpoint before it is kept" in line]
    assert workshop.store.get("sae-full-0").summary["tokens_trained"] == 512
