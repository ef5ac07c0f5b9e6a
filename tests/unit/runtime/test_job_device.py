from __future__ import annotations

from pathlib import Path

import pytest

from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("own", "wanted", "taken"),
    [
        ("", "", ""),
        ("", "cuda:1", "cuda:1"),
        ("cuda:1", "", "cuda:1"),
        ("cuda:1", "cuda", "cuda:1"),
        ("cuda:1", "cuda:0", "cuda:0"),
        ("cuda:1", "cpu", "cpu"),
        ("cpu", "cuda", "cuda"),
        ("cpu", "", "cpu"),
    ],
)
def test_a_spec_that_names_no_device_takes_the_workers(own: str, wanted: str, taken: str, tmp_path: Path) -> None:
    context = JobContext(
        job_id="job-1",
        attempt=1,
        store=ArtifactStore.open(tmp_path.as_uri()),
        settings=Settings(home=tmp_path, device=own),
        emit=lambda report: None,
    )
    assert context.device(wanted) == taken


def test_a_device_that_is_none_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="MISTUDIO_DEVICE"):
        Settings.load(device="gpu")
