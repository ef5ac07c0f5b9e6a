"""What we save, sparsify loads and computes alike, and what it saves again, we load.

Needs an environment of its own: MISTUDIO_SPARSIFY_PYTHON names its interpreter; run with `-m peers`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from extraction import sae
from safetensors.torch import load_file, save_file
from tiny import D_MODEL

from mistudio_sae.formats import load_sparsify, save_sparsify
from mistudio_sae.formats.sparsify import WRITTEN

PYTHON = os.environ.get("MISTUDIO_SPARSIFY_PYTHON", "")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PYTHON, reason="MISTUDIO_SPARSIFY_PYTHON names no interpreter with eai-sparsify"),
]


@pytest.mark.parametrize("architecture", WRITTEN)
def test_sparsify_agrees(tmp_path: Path, architecture: str) -> None:
    made = sae(architecture)
    x = torch.randn(500, D_MODEL, generator=torch.Generator().manual_seed(2))
    save_file({"x": x}, tmp_path / "inputs.safetensors")
    folder = save_sparsify(tmp_path / "ours", made, "layer.1.mlp_in")

    script = Path(__file__).with_name("sparsify_peer.py")
    subprocess.run([PYTHON, "-W", "ignore", str(script), str(tmp_path)], check=True, timeout=500)

    theirs = load_file(tmp_path / "latents.safetensors")
    assert theirs["latents"].count_nonzero() > 0
    for ours in (made, load_sparsify(tmp_path / "saved" / folder.name).sae):
        torch.testing.assert_close(theirs["latents"], ours.encode(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(theirs["x_hat"], ours(x), rtol=0, atol=1e-5)
