"""A data home beside a folder from which files may be read, and a tiny real model on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_gpt2 import save_model

from mistudio.v1 import DownloadDataset, DownloadModel, LocalFiles
from mistudio_ingest import download_dataset, download_model
from mistudio_runtime.settings import Settings
from support.workshop import Workshop


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The only folder from which jobs may read."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def workshop(home: Path, data: Path) -> Workshop:
    shop = Workshop(home)
    shop.settings = Settings(home=home, allowed_roots=[data])
    return shop


@pytest.fixture
def bring(workshop: Workshop) -> Callable[..., str]:
    """Runs download_dataset on local files and returns the artifact's id."""

    def run(*paths: Path, **fields: object) -> str:
        spec = DownloadDataset(local=LocalFiles(paths=[str(path) for path in paths]), **fields)
        return download_dataset.run(spec, workshop.job("job-data"))[0]

    return run


@pytest.fixture
def model_folder(data: Path) -> Path:
    folder = data / "tiny-gpt2"
    save_model(folder)
    return folder


@pytest.fixture
def model(workshop: Workshop, model_folder: Path) -> str:
    """The tiny model in the store."""
    return download_model.run(DownloadModel(local_path=str(model_folder)), workshop.job("job-model"))[0]
