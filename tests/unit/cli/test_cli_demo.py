"""The demo's recipe and what it prints."""

from __future__ import annotations

import io

from google.protobuf.struct_pb2 import Struct
from rich.console import Console

from mistudio import v1
from mistudio.cli.demo.findings import Findings, _metrics
from mistudio.cli.demo.recipe import FULL, SMALL, STEPS, pipeline, request_id
from mistudio.cli.demo.report import next_commands, render_report


def findings() -> Findings:
    summary = Struct()
    metrics = {"l0": 31.94, "explained_variance": 0.761, "ce_recovered": 0.93, "dead_fraction": 0.02, "tokens": 16885.0}
    summary.update({"metrics": metrics | {"ce_clean": 2.77, "ce_spliced": 3.01, "ce_zero": 8.3}})
    artifacts = {step: v1.Artifact(id=f"{step}-1", uri=f"file:///data/{step}%20x", bytes=1000) for step in STEPS}
    artifacts["sae"].summary.CopyFrom(summary)
    tokens = [v1.TokenActivation(text=" for"), v1.TokenActivation(text=" example", activation=3.0)]
    features = [v1.Feature(latent=24, examples=[v1.FeatureExample(tokens=tokens, peak=1, activation=3.0)])]
    return Findings(artifacts, features, _metrics(artifacts["sae"]))


def test_the_steps_name_what_they_need() -> None:
    steps = {step.name: step.job.spec for step in pipeline(FULL).steps}
    assert tuple(steps) == STEPS
    assert steps["tokens"].tokenize_dataset.dataset.step == "dataset"
    assert steps["sae"].train_sae.tokens.step == "tokens"
    assert steps["features"].extract_features.sae.step == "sae"
    assert (steps["sae"].train_sae.saes[0].d_sae, steps["sae"].train_sae.saes[0].k) == (2048, 32)


def test_the_same_recipe_has_the_same_id_and_another_has_another() -> None:
    assert request_id(pipeline(FULL), 0) == request_id(pipeline(FULL), 0)
    ids = {request_id(pipeline(recipe), generation) for recipe in (FULL, SMALL) for generation in (0, 1)}
    assert len(ids) == 4
    assert all(len(each) <= 128 for each in ids)


def test_the_report() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(render_report(findings(), own_mesh=True, colour=False))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for part in (
        "« example»",
        "31.9 active latents a token",
        "76.1%",
        "93.0%",
        "2.0%",
        "/data/features x",
        "on 16,885 held-out",
        "2.77 clean",
    ):
        assert part in text


def test_three_commands_that_fit_what_runs() -> None:
    own, other = (next_commands(findings(), own_mesh=own) for own in (True, False))
    assert own[0] == "mistudio up --detach"
    assert "mistudio features show features-1 24" in other
    assert len(own) == len(other) == 3
    assert not any("up" in command.split() for command in other)
