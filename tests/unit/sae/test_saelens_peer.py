"""What we save, SAELens loads and computes alike; what we measure, SAELens measures alike.

Needs an environment of its own: MISTUDIO_SAELENS_PYTHON names its interpreter; run with `-m peers`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from extraction import HOOK, sae
from safetensors.torch import load_file, save_file
from tiny import CONTEXT, D_MODEL, language_model, write_tokens

from mistudio_sae.evaluation import evaluate
from mistudio_sae.formats import SaeProvenance, save_saelens
from mistudio_sae.reporting import SilentReporter
from mistudio_sae.saes import ARCHITECTURES

PYTHON = os.environ.get("MISTUDIO_SAELENS_PYTHON", "")
pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(600),  # importing SAELens alone takes most of a minute
    pytest.mark.skipif(not PYTHON, reason="MISTUDIO_SAELENS_PYTHON names no interpreter with sae-lens"),
]
SAME_NAMES = {
    "ce_clean": "ce_loss_without_sae",
    "ce_spliced": "ce_loss_with_sae",
    "ce_zero": "ce_loss_with_ablation",
    "ce_recovered": "ce_loss_score",
    "kl": "kl_div_with_sae",
    "l0": "l0",
    "explained_variance": "explained_variance",
    "cosine_similarity": "cossim",
    "l2_ratio": "l2_ratio",
    "dead_fraction": "dead",
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saelens_agrees(tmp_path: Path, architecture: str) -> None:
    lm, made = language_model(), sae(architecture)
    reader = write_tokens(tmp_path / "tokens")
    x = torch.randn(500, D_MODEL, generator=torch.Generator().manual_seed(2))
    ids = torch.from_numpy(reader.blocks("train")[:])
    lm.model.save_pretrained(tmp_path / "model")
    save_file({"x": x, "ids": ids}, tmp_path / "inputs.safetensors")
    provenance = SaeProvenance("tiny", HOOK.name, CONTEXT, prepend_bos=True, dataset="none")
    save_saelens(tmp_path / "sae", made, provenance, torch.zeros(made.config.d_sae))

    script = Path(__file__).with_name("saelens_peer.py")
    subprocess.run([PYTHON, "-W", "ignore", str(script), str(tmp_path)], check=True, timeout=500)

    theirs = load_file(tmp_path / "latents.safetensors")
    assert torch.allclose(theirs["latents"], made.encode(x), rtol=0, atol=1e-5)
    assert torch.allclose(theirs["x_hat"], made(x), rtol=0, atol=1e-5)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["hook"], metrics["architecture"]) == ("blocks.1.hook_resid_post", architecture)
    report = evaluate(
        lm, reader, "train", HOOK, made, max_tokens=10**6, batch_blocks=8, reporter=SilentReporter()
    ).as_dict()
    for ours, theirs_ in SAME_NAMES.items():
        # SAELens averages float32 losses; where the tiny model's losses nearly cancel, that shows in their ratio.
        slack = 1e-3 if ours == "ce_recovered" else 0
        assert report[ours] == pytest.approx(metrics[theirs_], rel=1e-4, abs=slack), ours
