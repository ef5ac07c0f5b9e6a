"""Runs in SAELens' own environment: what SAELens makes of an SAE, a model and tokens that we saved.

Usage: saelens_peer.py FOLDER, which holds `sae/`, `model/` and `inputs.safetensors` (x, ids); writes
`latents.safetensors` and `metrics.json` there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from sae_lens import SAE
from sae_lens.evals import get_downstream_reconstruction_metrics, get_sparsity_and_variance_metrics
from sae_lens.load_model import HookedProxyLM
from sae_lens.training.activation_scaler import ActivationScaler
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

BOS = 0


class Batches:
    """The one method of an ActivationsStore that the metrics use."""

    def __init__(self, ids: torch.Tensor) -> None:
        self.batches = iter(ids.split(8))

    def get_batch_tokens(self, _: int) -> torch.Tensor:
        return next(self.batches)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    inputs = load_file(folder / "inputs.safetensors")
    sae = SAE.load_from_disk(folder / "sae")
    with torch.no_grad():
        latents = sae.encode(inputs["x"])
        save_file({"latents": latents, "x_hat": sae.decode(latents)}, folder / "latents.safetensors")
    names = {"hook": sae.cfg.metadata.hook_name, "architecture": sae.cfg.architecture()}
    # SAELens runs a transformers model by module paths: the output of layer 1 is this module's.
    sae.cfg.metadata.hook_name = "transformer.h.1"
    model = HookedProxyLM(AutoModelForCausalLM.from_pretrained(folder / "model").eval(), None)
    common = {"model_kwargs": {}, "ignore_tokens": [BOS], "eval_batch_size_prompts": 8}
    batches = -(-len(inputs["ids"]) // 8)
    with torch.no_grad():
        downstream = get_downstream_reconstruction_metrics(
            sae,
            model,
            Batches(inputs["ids"]),
            ActivationScaler(),
            compute_kl=True,
            compute_ce_loss=True,
            n_batches=batches,
            **common,
        )
        variance, densities = get_sparsity_and_variance_metrics(
            sae,
            model,
            Batches(inputs["ids"]),
            ActivationScaler(),
            n_batches=batches,
            compute_l2_norms=True,
            compute_sparsity_metrics=True,
            compute_variance_metrics=True,
            compute_featurewise_density_statistics=True,
            **common,
        )
    dead = sum(density == 0 for density in densities["feature_density"]) / len(densities["feature_density"])
    (folder / "metrics.json").write_text(json.dumps({**names, **downstream, **variance, "dead": dead}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
