"""Files whose names are no text."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq

from mistudio.v1 import DownloadDataset, LocalFiles
from mistudio_ingest import download_dataset
from mistudio_runtime.settings import Settings
from support.workshop import Workshop


def test_a_file_whose_name_is_not_utf8_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    workshop = Workshop(tmp_path / "home")
    workshop.settings = Settings(home=tmp_path / "home", allowed_roots=[folder])

    spec = DownloadDataset(local=LocalFiles(paths=[str(folder)]))
    artifact_id = download_dataset.run(spec, workshop.job("job-name"))[0]

    rows = pq.read_table(workshop.store.path(artifact_id) / "data-00000.parquet")
    assert rows.column("file").to_pylist() == ["caf?.txt"]
