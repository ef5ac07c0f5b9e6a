"""Requests that nobody means to send are refused like any other, with a field and a sentence."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio_gateway.validation import Scope, validate_request
from mistudio_gateway.validation.scope import MAX_VIOLATIONS
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import InvalidRequestError
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    files = tmp_path / "files"
    files.mkdir()
    settings = Settings(home=tmp_path / "home", allowed_roots=[files])
    return Scope(ArtifactStore(tmp_path / "store"), settings, load_queues(), lambda _: None)


def refused(scope: Scope, request: v1.JobRequest) -> dict[str, str]:
    validate_request(request, "job", scope)
    return {violation.field.removeprefix("job."): violation.description for violation in scope.violations}


def training(**fields: Any) -> v1.JobRequest:
    return v1.JobRequest(spec=v1.JobSpec(train_sae=v1.TrainSae(**fields)))


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"saes": [v1.SaeSpec(d_sae=8, k=1, architecture=99)]}, "saes[0].architecture", "number 99"),  # type: ignore[arg-type]
        ({"saes": [v1.SaeSpec(d_sae=8, k=1, learning_rate=math.inf)]}, "saes[0].learning_rate", "finite"),
        ({"saes": [v1.SaeSpec(d_sae=8, k=1, aux_coefficient=-1)]}, "saes[0].aux_coefficient", "at least 0"),
        ({"learning_rate": math.inf}, "learning_rate", "finite"),
        ({"hook_points": ["layer." + "9" * 5_000 + ".resid_post"]}, "hook_points[0]", "no hook point"),
        ({"model": v1.ArtifactRef(artifact_id="model-" + "b" * 5_000 + "-0")}, "model", "no artifact"),
    ],
)
def test_odd_training_is_refused(scope: Scope, fields: dict[str, Any], field: str, says: str) -> None:
    assert says in refused(scope, training(**fields))[f"spec.train_sae.{field}"]


@pytest.mark.parametrize(
    "age", [Duration(seconds=10**18), Duration(seconds=-(10**18)), Duration(nanos=-1), Duration(nanos=2**31 - 1)]
)
def test_ages_that_no_duration_holds_are_refused(scope: Scope, age: Duration) -> None:
    request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage(min_age=age)))
    assert "not negative" in refused(scope, request)["spec.collect_garbage.min_age"]


def test_more_than_the_ledger_can_record_is_refused(scope: Scope) -> None:
    request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()), labels={"a": "b"} | _many_labels())
    assert "at most 64" in refused(scope, request)["labels"]
    assert "262144 are recorded" in refused(scope, training(hook_points=["a" * 300_000]))["job"]


@pytest.mark.parametrize("name", ["loop", "n" * 300, "a/" * 3_000])
def test_paths_that_lead_nowhere_are_refused(scope: Scope, name: str) -> None:
    root = scope.settings.allowed_roots[0]
    (root / "loop").symlink_to(root / "loop")
    spec = v1.JobSpec(download_dataset=v1.DownloadDataset(local=v1.LocalFiles(paths=[f"{root}/{name}"])))
    assert "spec.download_dataset.local.paths[0]" in refused(scope, v1.JobRequest(spec=spec))


def test_a_home_that_nobody_has_is_refused(scope: Scope) -> None:
    spec = v1.JobSpec(import_sae=v1.ImportSae(local_path="~nobody-of-this-name/sae"))
    assert "leads nowhere" in refused(scope, v1.JobRequest(spec=spec))["spec.import_sae.local_path"]


@pytest.mark.parametrize("config", ["[]", "null", "[" * 100_000, '{"num_hidden_layers": "many"}', "{"])
def test_what_a_models_configuration_says_is_not_trusted(scope: Scope, config: str) -> None:
    folder = scope.settings.allowed_roots[0] / "model"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    assert not _wrong_layers(scope, folder)


def test_a_configuration_that_is_no_file_is_not_read(scope: Scope) -> None:
    folder = scope.settings.allowed_roots[0] / "model"
    folder.mkdir()
    os.mkfifo(folder / "config.json")
    assert not _wrong_layers(scope, folder)


def test_a_model_folder_that_has_gone_since_its_download_is_no_fault_of_the_training(scope: Scope) -> None:
    assert not _wrong_layers(scope, scope.settings.allowed_roots[0] / "gone")
    assert not [violation for violation in scope.violations if not violation.field]


@pytest.mark.parametrize(
    "spec",
    [
        v1.JobSpec(download_dataset=v1.DownloadDataset(local=v1.LocalFiles(paths=["/nowhere"] * 10_000))),
        v1.JobSpec(train_sae=v1.TrainSae(hook_points=["?"] * 10_000)),
        v1.JobSpec(train_sae=v1.TrainSae(saes=[v1.SaeSpec()] * 10_000)),
        v1.JobSpec(verify_artifacts=v1.VerifyArtifacts(artifact_ids=["x"] * 10_000)),
    ],
)
def test_so_many_bad_fields_are_named_and_no_more(scope: Scope, spec: v1.JobSpec) -> None:
    refused(scope, v1.JobRequest(spec=spec))
    assert len(scope.violations) == MAX_VIOLATIONS
    with pytest.raises(InvalidRequestError):
        scope.raise_if_any()


def test_what_is_too_large_is_not_looked_into(scope: Scope) -> None:
    assert set(refused(scope, training(hook_points=["?"] * 300_000))) == {"job"}


def test_long_values_are_repeated_in_part(scope: Scope) -> None:
    said = refused(scope, training(hook_points=["?" * 100_000], model=v1.ArtifactRef(step="s" * 100_000)))
    assert len(said["spec.train_sae.hook_points[0]"]) < 300
    assert "…', for only a pipeline" in said["spec.train_sae.model"]
    scope.refuse("field", "d" * 100_000)
    assert len(scope.violations[-1].description) <= 1_000


def _wrong_layers(scope: Scope, folder: Path) -> bool:
    """Validates a training on a model that is still to be taken from a folder."""
    scope.steps = {"model": v1.JobSpec(download_model=v1.DownloadModel(local_path=str(folder)))}
    found = refused(scope, training(model=v1.ArtifactRef(step="model"), hook_points=["layer.3.resid_post"]))
    return "spec.train_sae.hook_points[0]" in found


def _many_labels() -> dict[str, str]:
    return {str(number): "x" for number in range(100)}
