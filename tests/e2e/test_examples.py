"""Examples as a researcher runs them: one script, one mesh, and what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.mesh import Mesh
from support.pages import ROOT

pytestmark = pytest.mark.timeout(600)


def test_jobs_and_queues(workshop_mesh: Mesh, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "jobs_and_queues.py"],
        env=workshop_mesh.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert not done.stderr
    said = done.stdout
    assert len(re.findall(r"^\w+ +priority +\d+, served by .*all@1", said, re.MULTILINE)) == 6
    assert "queue datasets, priority 7, taken by all@1\n" in said
    assert re.search(r"^SUCCEEDED dataset-\w+-0$", said, re.MULTILINE)
    for step, artifact in {"model": "model", "tokens": "tokens", "sae": "sae", "features": "features"}.items():
        assert re.search(rf"^{step} +SUCCEEDED {artifact}-\w+-0$", said, re.MULTILINE)
    [explained] = re.findall(r"^explained variance (\d\.\d+) with ", said, re.MULTILINE)
    assert 0.1 < float(explained) < 1
    assert len(re.findall(r"^latent +\d+ fires on \d+\.\d+% of the tokens and makes likely '", said, re.MULTILINE)) == 3
    assert len(re.findall(r"^latent +\d+ fires most on '", said, re.MULTILINE)) == 2
    assert "job.spec.train_sae.hook_points[0]: 'layer.99' is no hook point" in said
    assert "there is no job 'job-none'" in said
    assert re.search(r"^job job-\w+ was cancelled$", said, re.MULTILINE)
    assert len(re.findall(r"^report-\w+-0$", said, re.MULTILINE)) == 2
