"""train_sae from spec to artifacts, run directly."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from mistudio import v1
from mistudio.v1 import AttemptReport, SaeSpec
from mistudio_runtime.jobs import JobStoppedError, Stop
from mistudio_sae.formats import load_saelens
from mistudio_trainer.train_sae import run
from support.workshop import HOOK, RecordedJob, Workshop


def stop_after(job: RecordedJob, tokens: int, stop: Stop) -> None:
    """Asks the job to stop as soon as it has trained on so many tokens."""

    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "train" and report.progress.done >= tokens:
            job.request_stop(stop)

    job.watch = watch


def weights(workshop: Workshop, artifact_id: str) -> dict[str, torch.Tensor]:
    return load_saelens(workshop.store.path(artifact_id)).sae.state_dict()


@pytest.fixture
def inputs(workshop: Workshop) -> tuple[str, str]:
    model = workshop.add_model()
    return model, workshop.add_tokens(model, dataset=workshop.add_dataset())


def test_an_artifact_says_what_it_is(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    (sae,) = run(workshop.training(*inputs), job)

    manifest = workshop.store.get(sae)
    assert manifest.kind == "sae"
    assert manifest.parents == inputs
    assert manifest.parameters["hook_points"] == [HOOK]
    summary = manifest.summary
    assert (summary["architecture"], summary["d_in"], summary["d_sae"], summary["k"]) == ("topk", 16, 24, 4)
    assert (summary["hook_point"], summary["model_name"], summary["tokens_trained"]) == (HOOK, "tiny", 512)
    assert summary["metrics_split"] == "validation"
    assert summary["metrics"]["l0"] <= 4
    assert {"explained_variance", "fvu", "ce_recovered", "dead_fraction", "tokens"} <= set(summary["metrics"])


def test_an_artifact_is_in_the_saelens_layout(workshop: Workshop, inputs: tuple[str, str]) -> None:
    (sae,) = run(workshop.training(*inputs), workshop.job("job-one"))

    files = {path.name for path in workshop.store.path(sae).iterdir()}
    layout = {"cfg.json", "sae_weights.safetensors", "sparsity.safetensors"}
    assert files == layout | {"metrics.parquet", "density.json", "report.html", "manifest.json"}
    provenance = load_saelens(workshop.store.path(sae)).provenance
    assert (provenance.model_name, provenance.hook_point, provenance.dataset) == ("tiny", HOOK, "tiny-text")
    assert (provenance.context_size, provenance.prepend_bos) == (16, True)


def test_every_hook_point_meets_every_sae_in_order(workshop: Workshop, inputs: tuple[str, str]) -> None:
    saes = [SaeSpec(d_sae=24, k=4), SaeSpec(name="wide", architecture=v1.SAE_ARCHITECTURE_STANDARD, d_sae=32)]
    hooks = ["layer.0.resid_post", "layer.1.mlp_out"]
    job = workshop.job("job-sweep")
    ids = run(workshop.training(*inputs, hook_points=hooks, saes=saes), job)

    summaries = [workshop.store.get(sae).summary for sae in ids]
    assert ids == [f"sae-sweep-{index}" for index in range(4)]
    assert [(summary["hook_point"], summary["name"]) for summary in summaries] == [
        ("layer.0.resid_post", "topk-24-k4"),
        ("layer.0.resid_post", "wide"),
        ("layer.1.mlp_out", "topk-24-k4"),
        ("layer.1.mlp_out", "wide"),
    ]
    for sae, summary in zip(ids, summaries, strict=True):
        curve = pq.read_table(workshop.store.path(sae) / "metrics.parquet")
        assert set(curve.column("sae").to_pylist()) == {summary["name"]}
        assert set(curve.column("hook_point").to_pylist()) == {summary["hook_point"]}


def test_transcoders_are_made_beside_saes_from_one_harvest(workshop: Workshop, inputs: tuple[str, str]) -> None:
    architectures = [v1.SAE_ARCHITECTURE_TRANSCODER, v1.SAE_ARCHITECTURE_SKIP_TRANSCODER]
    saes = [SaeSpec(d_sae=24, k=4), *(SaeSpec(d_sae=24, k=4, architecture=each) for each in architectures)]
    ids = run(workshop.training(*inputs, hook_points=["layer.1.mlp_in"], saes=saes), workshop.job("job-mlp"))

    summaries = [workshop.store.get(sae).summary for sae in ids]
    assert [summary["architecture"] for summary in summaries] == ["topk", "transcoder", "skip_transcoder"]
    assert {summary["hook_point"] for summary in summaries} == {"layer.1.mlp_in"}
    assert [summary.get("target_hook_point") for summary in summaries] == [None, "layer.1.mlp_out", "layer.1.mlp_out"]
    for sae, summary in zip(ids, summaries, strict=True):
        loaded = load_saelens(workshop.store.path(sae))
        assert (loaded.config.architecture, loaded.config.k) == (summary["architecture"], 4)
        assert {"fvu", "ce_recovered", "ce_spliced", "kl"} <= set(summary["metrics"])


def test_progress_goes_through_the_stages_and_never_back(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    saes = [SaeSpec(d_sae=24, k=4), SaeSpec(d_sae=24, k=8)]
    run(workshop.training(*inputs, saes=saes, evaluate_every_tokens=128), job)

    progressed = job.progressed
    assert list(dict.fromkeys(p.stage for p in progressed)) == ["load", "harvest", "train", "evaluate", "save"]
    fractions = [p.fraction for p in progressed]
    assert fractions == sorted(fractions)
    evaluations = [p for p in progressed if p.stage == "evaluate"]
    assert [p.done for p in evaluations] == sorted(p.done for p in evaluations)
    assert evaluations[-1].done == evaluations[-1].total


def test_metrics_carry_the_names_of_hook_point_and_sae(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    run(workshop.training(*inputs), job)

    loss = [point for point in job.metrics if point.name == "loss"]
    assert loss
    assert {(point.labels["sae"], point.labels["hook_point"]) for point in loss} == {("topk-24-k4", HOOK)}


@pytest.mark.parametrize("stop", [Stop.PAUSE, Stop.DRAIN])
def test_a_stopped_job_goes_on_to_the_same_weights(workshop: Workshop, inputs: tuple[str, str], stop: Stop) -> None:
    spec = workshop.training(*inputs)
    (whole,) = run(spec, workshop.job("job-whole"))
    first = workshop.job("job-parts", attempt=1)
    stop_after(first, 320, stop)
    with pytest.raises(JobStoppedError) as stopped:
        run(spec, first)
    second = workshop.job("job-parts", attempt=2)
    (resumed,) = run(spec, second)

    assert stopped.value.stop is stop
    assert any("resumed" in line and "320 tokens" in line for line in second.logs)
    expected = weights(workshop, whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(workshop, resumed).items())


def test_a_killed_attempt_goes_on_from_its_last_checkpoint(workshop: Workshop, inputs: tuple[str, str]) -> None:
    spec = workshop.training(*inputs)
    (whole,) = run(spec, workshop.job("job-whole"))
    first = workshop.job("job-parts", attempt=1)

    def die(report: AttemptReport) -> None:
        if report.progress.stage == "train" and report.progress.done >= 320:
            raise KeyboardInterrupt

    first.watch = die
    with pytest.raises(KeyboardInterrupt):
        run(spec, first)
    second = workshop.job("job-parts", attempt=2)
    (resumed,) = run(spec, second)

    assert any("resumed" in line and "256 tokens" in line for line in second.logs)
    expected = weights(workshop, whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(workshop, resumed).items())


def test_an_interrupted_run_leaves_one_curve_without_gaps(workshop: Workshop, inputs: tuple[str, str]) -> None:
    spec = workshop.training(*inputs, total_tokens=64 * 40)
    first = workshop.job("job-parts", attempt=1)
    stop_after(first, 64 * 25, Stop.PAUSE)
    with pytest.raises(JobStoppedError):
        run(spec, first)
    (sae,) = run(spec, workshop.job("job-parts", attempt=2))

    curve = pq.read_table(workshop.store.path(sae) / "metrics.parquet").to_pylist()
    assert [row["step"] for row in curve if row["name"] == "loss"] == [10, 20, 30, 40]


def test_a_cancelled_job_commits_nothing(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    stop_after(job, 512, Stop.CANCEL)
    with pytest.raises(JobStoppedError) as stopped:
        run(workshop.training(*inputs), job)

    assert stopped.value.stop is Stop.CANCEL
    assert not workshop.store.exists("sae-one-0")


def test_a_job_that_is_to_finish_keeps_what_it_has(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    stop_after(job, 320, Stop.FINISH)
    (sae,) = run(workshop.training(*inputs), job)
    summary = workshop.store.get(sae).summary
    assert summary["tokens_trained"] == 320
    assert summary["metrics_split"] == "validation"
    assert any("finishing early after 320 tokens" in line for line in job.logs)
    assert [step for step in job.progressed if step.stage == "evaluate"][-1].done > 0


def test_an_interrupted_finish_is_finished_from_where_it_was(workshop: Workshop, inputs: tuple[str, str]) -> None:
    first = workshop.job("job-parts", attempt=1)
    stop_after(first, 320, Stop.FINISH)

    def die(report: AttemptReport) -> None:
        if report.progress.stage == "evaluate":
            raise KeyboardInterrupt
        if report.progress.stage == "train" and report.progress.done >= 320:
            first.request_stop(Stop.FINISH)

    first.watch = die
    with pytest.raises(KeyboardInterrupt):
        run(workshop.training(*inputs), first)
    second = workshop.job("job-parts", attempt=2)
    second.request_stop(Stop.FINISH)
    (sae,) = run(workshop.training(*inputs), second)
    assert workshop.store.get(sae).summary["tokens_trained"] == 320


def test_a_cancel_counts_more_than_a_finish(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")

    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "train":
            job.request_stop(Stop.FINISH)
        if report.progress.stage == "evaluate":
            job.request_stop(Stop.CANCEL)

    job.watch = watch
    with pytest.raises(JobStoppedError):
        run(workshop.training(*inputs), job)
    assert not workshop.store.exists("sae-one-0")


def test_a_second_delivery_makes_the_same_artifact(workshop: Workshop, inputs: tuple[str, str]) -> None:
    spec = workshop.training(*inputs)
    first = run(spec, workshop.job("job-one", attempt=1))
    manifest = workshop.store.get(first[0])
    again = run(spec, workshop.job("job-one", attempt=2))

    assert again == first
    assert workshop.store.get(first[0]) == manifest


def test_changed_parameters_do_not_meet_old_checkpoints(workshop: Workshop, inputs: tuple[str, str]) -> None:
    first = workshop.job("job-one", attempt=1)
    stop_after(first, 320, Stop.PAUSE)
    with pytest.raises(JobStoppedError):
        run(workshop.training(*inputs), first)
    second = workshop.job("job-one", attempt=2)
    (sae,) = run(workshop.training(*inputs, seed=7), second)

    assert workshop.store.get(sae).summary["tokens_trained"] == 512
    assert not any("resumed" in line for line in second.logs)


def test_without_held_out_tokens_the_metrics_are_of_training(workshop: Workshop) -> None:
    model = workshop.add_model()
    tokens = workshop.add_tokens(model, held_out=0)
    (sae,) = run(workshop.training(model, tokens), workshop.job("job-one"))

    summary = workshop.store.get(sae).summary
    assert summary["metrics_split"] == "train"
    assert "explained_variance" in summary["metrics"]


def test_scratch_holds_what_another_attempt_needs(workshop: Workshop, inputs: tuple[str, str]) -> None:
    job = workshop.job("job-one")
    stop_after(job, 320, Stop.PAUSE)
    with pytest.raises(JobStoppedError):
        run(workshop.training(*inputs), job)

    scratch: Path = job.scratch
    assert {path.name for path in scratch.iterdir()} == {"checkpoints", "metrics.jsonl", "spec.sha256"}
    assert any((scratch / "checkpoints").iterdir())
