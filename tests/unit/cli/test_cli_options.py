"""Options made from the contract, for every job kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio.cli.spec.build import apply_options, read_params
from mistudio.cli.spec.fields import spec_fields
from mistudio.cli.spec.values import Pair, Reference, ShortName, TimeSpan, WholeNumber
from mistudio.cli.submit import job_options, submit
from mistudio.specs import KINDS


def spec_of(kind: str, *arguments: str) -> Any:
    """Parses a command line as `mistudio submit KIND` does and builds the spec."""
    command = submit.commands[kind]
    spec = type(getattr(v1.JobSpec(), kind))()
    with command.make_context(kind, list(arguments)) as context:
        if context.params["params"] is not None:
            read_params(spec, context.params["params"])
        apply_options(spec, spec_fields(spec.DESCRIPTOR), context.params)
    return spec


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_command_with_help_from_the_contract(kind: str) -> None:
    command = submit.commands[kind]
    assert command.help
    own = [option for option in command.params if isinstance(option, click.Option)]
    assert all(option.help for option in own)
    names = [name for option in own for name in (*option.opts, *option.secondary_opts)]
    assert len(names) == len(set(names)), "no field of a spec hides an option that all kinds have"
    assert {option.name for option in job_options()} <= {option.name for option in own}
    assert command.get_help(click.Context(command, info_name=kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_kind_has_an_option(kind: str) -> None:
    message = type(getattr(v1.JobSpec(), kind))
    top = {field.path[0] for field in spec_fields(message.DESCRIPTOR)}
    assert top == {field.name for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize("kind", KINDS)
def test_without_options_the_spec_is_empty(kind: str) -> None:
    assert spec_of(kind) == type(getattr(v1.JobSpec(), kind))()


def test_training() -> None:
    spec = spec_of(
        "train_sae",
        *("--model", "model-abcdefgh-0", "--tokens", "job-abc:1"),
        *("--hook-points", "layer.1.resid_post", "--hook-points", "layer.2.mlp_out"),
        *("--saes", "architecture=topk,d_sae=2048,k=32", "--saes", "architecture=standard,d_sae=1k,l1_coefficient=0.1"),
        *("--total-tokens", "1.5M", "--learning-rate", "3e-4", "--seed", "7"),
    )
    assert spec == v1.TrainSae(
        model=v1.ArtifactRef(artifact_id="model-abcdefgh-0"),
        tokens=v1.ArtifactRef(job_id="job-abc", output_index=1),
        hook_points=["layer.1.resid_post", "layer.2.mlp_out"],
        saes=[
            v1.SaeSpec(architecture=v1.SAE_ARCHITECTURE_TOPK, d_sae=2048, k=32),
            v1.SaeSpec(architecture=v1.SAE_ARCHITECTURE_STANDARD, d_sae=1000, l1_coefficient=0.1),
        ],
        total_tokens=1_500_000,
        learning_rate=3e-4,
        seed=7,
    )


def test_nested_messages_become_prefixes() -> None:
    spec = spec_of("download_dataset", "--hub-name", "a/b", "--hub-split", "test", "--max-rows", "2k")
    assert spec == v1.DownloadDataset(hub=v1.HubDataset(name="a/b", split="test"), max_rows=2000)
    spec = spec_of("download_dataset", "--local-paths", "a.txt", "--local-paths", "b.txt")
    assert spec == v1.DownloadDataset(local=v1.LocalFiles(paths=["a.txt", "b.txt"]))
    assert spec_of("download_model", "--bundled", "x") == v1.DownloadModel(bundled="x")


def test_maps_flags_enums_and_durations() -> None:
    spec = spec_of(
        "update_metadata", "--artifact-id", "sae-1", "--set-labels", "a=b=c", "--feature-notes", "latent=3,starred=true"
    )
    assert spec.set_labels == {"a": "b=c"}
    assert list(spec.feature_notes) == [v1.FeatureNote(latent=3, starred=True)]
    assert not spec.HasField("display_name")
    spec = spec_of("collect_garbage", "--dry-run", "--min-age", "2h")
    assert spec == v1.CollectGarbage(dry_run=True, min_age=Duration(seconds=7200))
    assert spec_of("export_sae", "--format", "SAELENS").format == v1.SAE_FORMAT_SAELENS
    assert spec_of("tokenize_dataset", "--no-prepend-bos") == v1.TokenizeDataset()


def test_params_are_json_and_options_win(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    params = {"total_tokens": "5000", "hookPoints": ["layer.0.resid_post"], "saes": [{"k": 4}], "seed": 3}
    file.write_text(json.dumps(params))
    spec = spec_of("train_sae", "--params", str(file), "--seed", "9", "--hook-points", "layer.5.resid_post")
    assert (spec.total_tokens, spec.seed, list(spec.hook_points)) == (5000, 9, ["layer.5.resid_post"])
    assert spec.saes[0].k == 4


def test_params_may_stand_on_the_command_line() -> None:
    assert spec_of("train_sae", "--params", '{"seed": 3}').seed == 3


def test_params_in_a_file_that_is_not_there_are_a_usage_error() -> None:
    with pytest.raises(click.BadParameter, match="neither JSON nor a file"):
        spec_of("train_sae", "--params", "missing.json")


def test_params_that_are_no_spec_say_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text('{"layers": 3}')
    with pytest.raises(click.BadParameter, match="layers"):
        spec_of("train_sae", "--params", str(file))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--total-tokens", "many"), "no whole number"),
        (("--total-tokens", "-1"), "is negative"),
        (("--saes", "width=3"), "no field=value with a field of name, architecture"),
        (("--saes", "architecture=resnet"), "is none of standard, topk"),
        (("--saes", "k=x"), "no whole number"),
        (("--model", "job-1:x"), "no number of an output"),
    ],
)
def test_values_that_make_no_sense_are_usage_errors(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        spec_of("train_sae", *arguments)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2h", 7200), ("1h30m", 5400), ("7d", 604800), ("0.5s", 0.5), ("250ms", 0.25)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert TimeSpan().convert(text, None, None).ToTimedelta().total_seconds() == seconds


@pytest.mark.parametrize("text", ["90", "h", "1x", "1h 30m", ""])
def test_lengths_of_time_that_are_none(text: str) -> None:
    with pytest.raises(click.UsageError):
        TimeSpan().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "number"), [("4096", 4096), ("1_500_000", 1_500_000), ("200k", 200_000), ("1.5M", 1_500_000), ("0", 0)]
)
def test_whole_numbers(text: str, number: int) -> None:
    assert WholeNumber().convert(text, None, None) == number
    assert WholeNumber(signed=True).convert(f"-{text}", None, None) == -number


def test_a_name_that_is_no_job_is_an_artifact() -> None:
    assert Reference().convert("anything", None, None) == v1.ArtifactRef(artifact_id="anything")


def test_pairs_need_a_key() -> None:
    assert Pair().convert("a=", None, None) == ("a", "")
    for wrong in ("a", "=b"):
        with pytest.raises(click.UsageError):
            Pair().convert(wrong, None, None)


def test_short_names_leave_out_what_is_not_said() -> None:
    names = list(ShortName(v1.SaeArchitecture.DESCRIPTOR).numbers)
    assert names[:2] == ["standard", "topk"]
    assert "unspecified" not in names
