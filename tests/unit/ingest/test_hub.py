from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_stand_in import SHA, HubStandIn

from mistudio.v1 import DownloadModel, HubRepository
from mistudio_ingest import download_model
from mistudio_runtime.jobs import PermanentFailure, TransientFailure
from mistudio_sae.models.loading import load_model
from support.workshop import RecordedJob, Workshop

FETCH_DATASET = Path(__file__).with_name("fetch_dataset.py")


@pytest.fixture
def hub(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """Has the tiny model, with files beside it that nobody should take."""
    with HubStandIn() as stand_in:
        files = {file.name: file.read_bytes() for file in model_folder.iterdir()}
        files |= {"pytorch_model.bin": b"pickle", "model.fp16.safetensors": b"x", "onnx/model.safetensors": b"x"}
        stand_in.repositories["me/tiny"] = files
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield stand_in


def bring(job: RecordedJob, name: str = "me/tiny", revision: str = "") -> str:
    return download_model.run(DownloadModel(hub=HubRepository(name=name, revision=revision)), job)[0]


def test_a_model_comes_from_the_hub(workshop: Workshop, hub: HubStandIn, capfd: pytest.CaptureFixture[str]) -> None:
    job = workshop.job("job-model")

    artifact_id = bring(job)

    manifest = workshop.store.get(artifact_id)
    assert (manifest.summary["name"], manifest.summary["revision"]) == ("me/tiny", SHA)
    assert load_model(workshop.store.path(artifact_id)).n_layers == 2
    assert not any("bin" in path or "fp16" in path or "onnx" in path for _, path, _ in hub.requests)
    downloaded = [progress for progress in job.progressed if progress.stage == "download"]
    assert downloaded[-1].done == downloaded[-1].total > 0
    assert capfd.readouterr() == ("", "")


def test_a_broken_transfer_goes_on_where_it_broke(workshop: Workshop, hub: HubStandIn) -> None:
    # The client writes to disk 10 MB at a time.
    hub.repositories["me/tiny"]["README.md"] = b"r" * (21 << 20)
    hub.cut_after = 12 << 20
    with pytest.raises(TransientFailure, match="could not be downloaded"):
        bring(workshop.job("job-model", attempt=1))
    assert not [*workshop.store.list()]
    hub.status = 0

    bring(workshop.job("job-model", attempt=2))

    spans = [span for method, path, span in hub.requests if method == "GET" and path.endswith("README.md") and span]
    assert spans[-1] == f"bytes={10 << 20}-"


def test_a_private_model_needs_the_token(workshop: Workshop, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_" + "s" * 34
    job = workshop.job("job-model")
    with pytest.raises(PermanentFailure, match="denies access to model me/tiny; accept its terms") as caught:
        bring(job)
    assert caught.value.reason == "HUB_DENIED"

    monkeypatch.setenv("HF_TOKEN", hub.token)
    artifact_id = bring(job)

    told = "".join(map(str, job.reports)) + (workshop.store.path(artifact_id) / "manifest.json").read_text()
    assert hub.token not in told


@pytest.mark.parametrize(
    ("name", "revision", "says"),
    [
        ("me/gone", "", "has no model me/gone that this service may see; check the name"),
        ("me/tiny", "v9", "model me/tiny has no such revision"),
        ("not a name", "", "is no name of a repository"),
        ("../../etc", "", "is no name of a repository"),
    ],
)
def test_wrong_names_are_permanent(workshop: Workshop, hub: HubStandIn, name: str, revision: str, says: str) -> None:
    with pytest.raises(PermanentFailure, match=says):
        bring(workshop.job("job-model"), name, revision)


def test_pickled_weights_are_refused_before_anything_is_downloaded(workshop: Workshop, hub: HubStandIn) -> None:
    del hub.repositories["me/tiny"]["model.safetensors"]

    with pytest.raises(PermanentFailure, match="pickled weights are never loaded"):
        bring(workshop.job("job-model"))
    assert len(hub.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_in_trouble_is_transient(workshop: Workshop, hub: HubStandIn, status: int) -> None:
    hub.status = status
    with pytest.raises(TransientFailure, match=f"could not be downloaded from {hub.url}"):
        bring(workshop.job("job-model"))


def test_no_hub_at_all_is_transient(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TransientFailure, match="could not be downloaded"):
        bring(workshop.job("job-model"))


def fetch_dataset(home: Path, hub: HubStandIn, arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the datasets library reads HF_ENDPOINT once, when it is imported."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_DATASETS_TRUST_REMOTE_CODE": "0",
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", FETCH_DATASET, home, *arguments.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_dataset_comes_from_the_hub(hub: HubStandIn, home: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"id": range(2500), "content": [f"text {i}" for i in range(2500)]}), buffer)
    hub.repositories["me/texts"] = {"data/train-00000-of-00001.parquet": buffer.getvalue()}

    done = fetch_dataset(home, hub, "me/texts train 1200 me/texts test 0 me/gone train 0")

    assert done.stderr == ""
    *rows, wrong, missing = done.stdout.splitlines()
    assert rows == ["1200 rows", "content", "text 0", "text 1199"]
    assert wrong.startswith("PermanentFailure: dataset me/texts cannot be read: ")
    assert "has no dataset me/gone that this service may see" in missing
