"""Runs download_dataset jobs from the hub, prints what came of each: fetch_dataset.py HOME [NAME SPLIT ROWS]..."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.parquet as pq

from mistudio.v1 import DownloadDataset, HubDataset
from mistudio_ingest.download_dataset import run
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.jobs.failures import JobFailure
from mistudio_runtime.settings import Settings


def fetch(settings: Settings, name: str, split: str, rows: str) -> None:
    store = ArtifactStore.open(settings.artifacts_url)
    context = JobContext(job_id="job-hub", attempt=1, store=store, settings=settings, emit=lambda _: None)
    try:
        artifact_id = run(DownloadDataset(hub=HubDataset(name=name, split=split), max_rows=int(rows)), context)[0]
    except JobFailure as failure:
        print(f"{type(failure).__name__}: {failure.message}")  # noqa: T201
        return
    column = store.get(artifact_id).summary["text_column"]
    texts = pq.read_table([*store.path(artifact_id).glob("*.parquet")]).column(column).to_pylist()
    print(f"{len(texts)} rows", column, texts[0], texts[-1], sep="\n")  # noqa: T201


if __name__ == "__main__":
    home, *rest = sys.argv[1:]
    while rest:
        fetch(Settings(home=Path(home)), *rest[:3])
        rest = rest[3:]
