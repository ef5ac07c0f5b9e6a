"""What we save, SAELens loads and computes alike; what we measure, SAELens measures alike.

Needs an environment of its own: MISTUDIO_SAELENS_PYTHON names its interpreter; run with `-m peers`.
"""

from __future__ import annotations

import dataclasses
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
from mistudio_sae.formats import SaeProvenance, load_saelens, save_saelens
from mistudio_sae.models import HookPoint
from mistudio_sae.reporting import SilentReporter
from mistudio_sae.saes import ARCHITECTURES, TRANSCODES, Architecture, Sae, build_sae

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


THEIR_NAMES = {"batchtopk": "jumprelu", "matryoshka": "jumprelu", "transcoder": "topk"}
"""What an architecture of ours is in SAELens, where it has another name there."""


def made_of(architecture: str, *, relu: bool) -> Sae:
    made = sae(architecture)
    if not relu:
        return made
    other = build_sae(dataclasses.replace(made.config, k=made.config.d_sae), torch.Generator())
    other.load_state_dict(made.state_dict())
    return other.requires_grad_(requires_grad=False)


@pytest.mark.parametrize(
    ("architecture", "relu"),
    [*((name, False) for name in ARCHITECTURES), *((name, True) for name in ARCHITECTURES if name in TRANSCODES)],
)
def test_saelens_agrees(tmp_path: Path, architecture: Architecture, *, relu: bool) -> None:
    lm, made = language_model(), made_of(architecture, relu=relu)
    transcodes = architecture in TRANSCODES
    reader = write_tokens(tmp_path / "tokens")
    x = torch.randn(500, D_MODEL, generator=torch.Generator().manual_seed(2))
    ids = torch.from_numpy(reader.blocks("train")[:])
    lm.model.save_pretrained(tmp_path / "model")
    save_file({"x": x, "ids": ids}, tmp_path / "inputs.safetensors")
    hook = "layer.1.mlp_in" if transcodes else HOOK.name
    provenance = SaeProvenance("tiny", hook, CONTEXT, prepend_bos=True, dataset="none")
    save_saelens(tmp_path / "sae", made, provenance, torch.zeros(made.config.d_sae))

    script = Path(__file__).with_name("saelens_peer.py")
    subprocess.run([PYTHON, "-W", "ignore", str(script), str(tmp_path)], check=True, timeout=500)

    theirs = load_file(tmp_path / "latents.safetensors")
    assert theirs["latents"].count_nonzero() > 0
    saved = load_saelens(tmp_path / "saved")
    assert saved.provenance == provenance
    for ours in (made, saved.sae):
        torch.testing.assert_close(theirs["latents"], ours.encode(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(theirs["x_hat"], ours(x), rtol=0, atol=1e-5)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    name = architecture if relu else THEIR_NAMES.get(architecture, architecture)
    assert (metrics["hook"], metrics["architecture"]) == (HookPoint.parse(hook).transformer_lens_name(), name)
    if transcodes:
        return
    report = evaluate(
        lm, reader, "train", HOOK, made, max_tokens=10**6, batch_blocks=8, reporter=SilentReporter()
    ).as_dict()
    for metric, theirs_ in SAME_NAMES.items():
        # SAELens averages float32 losses; where the tiny model's losses nearly cancel, that shows in their ratio.
        slack = 1e-3 if metric == "ce_recovered" else 0
        assert report[metric] == pytest.approx(metrics[theirs_], rel=1e-4, abs=slack), metric
