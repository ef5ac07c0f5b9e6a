"""Files of artifacts, from a real curator to a file here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mistudio.cli.main import run
from mistudio_curator.service import add_servicers
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import ServiceContext
from mistudio_runtime.serving.server import MeshServer
from mistudio_runtime.settings import Settings

REPORT = b"<!doctype html>" + bytes(range(256)) * 20_000


@pytest.fixture
def store(home: Path) -> ArtifactStore:
    return ArtifactStore.open(Settings(home=home).artifacts_url)


@pytest.fixture
async def curator(store: ArtifactStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    server = MeshServer()
    names = add_servicers(server.grpc, ServiceContext(Settings(home=home), store))
    port = await server.start("127.0.0.1:0", names)
    monkeypatch.setenv("MISTUDIO_GATEWAY", f"127.0.0.1:{port}")
    yield
    await server.stop(0)


@pytest.fixture
def sae(store: ArtifactStore) -> str:
    with store.draft("sae", job_id="job-one", attempt=1) as draft:
        (draft.path / "report.html").write_bytes(REPORT)
        return draft.commit()


@pytest.mark.usefixtures("curator")
async def test_a_report_is_fetched_whole(
    sae: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await asyncio.to_thread(run, ["training", "report", sae, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": f"{sae}.html", "bytes": len(REPORT)}
    assert (tmp_path / f"{sae}.html").read_bytes() == REPORT
    chosen = str(tmp_path / "chosen.html")
    assert await asyncio.to_thread(run, ["artifacts", "download", sae, "report.html", "--output", chosen]) == 0
    assert (tmp_path / "chosen.html").read_bytes() == REPORT


@pytest.mark.usefixtures("curator")
async def test_what_is_damaged_or_missing_leaves_nothing_behind(
    sae: str, store: ArtifactStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    arguments = ["artifacts", "download", sae, "gone.html", "--output", str(there / "report.html")]
    assert await asyncio.to_thread(run, arguments) == 4
    (store.path(sae) / "report.html").write_bytes(REPORT[:-1] + b"!")
    arguments[3] = "report.html"
    assert await asyncio.to_thread(run, arguments) == 1
    assert "arrived damaged" in capsys.readouterr().err
    assert not list(there.iterdir())
