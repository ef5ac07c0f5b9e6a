"""Runs in SAELens' own environment: what SAELens makes of an SAE, a model and tokens that we saved.

Usage: saelens_peer.py FOLDER, which holds `sae/`, `model/` and `inputs.safetensors` (x, ids); writes
`latents.safetensors`, `metrics.json` and, as SAELens saves it, `saved/` there. SAELens measures no transcoders.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from sae_lens import SAE
from sae_lens.evals import get_downstream_reconstruction_metrics, get_sparsity_and_variance_metrics
from sae_lens.load_model import HookedProxyLM
from sae_lens.saes.topk_sae import TopK
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
    if sae.cfg.architecture() == "skip_transcoder" and sae.cfg.metadata.activation_fn == "topk":
        sae.activation_fn = TopK(sae.cfg.metadata.k)
    with torch.no_grad():
        save_file({"latents": sae.encode(inputs["x"]), "x_hat": sae(inputs["x"])}, folder / "latents.safetensors")
    sae.save_model(folder / "saved")
    names = {"hook": sae.cfg.metadata.hook_name, "architecture": sae.cfg.architecture()}
    measured = {} if sae.cfg.metadata.hook_name_out else measure(sae, folder, inputs["ids"])
    (folder / "metrics.json").write_text(json.dumps({**names, **measured}))


def measure(sae: SAE, folder: Path, ids: torch.Tensor) -> dict[str, float]:
    # SAELens runs a transformers model by module paths: the output of layer 1 is this module's.
    sae.cfg.metadata.hook_name = "transformer.h.1"
    model = HookedProxyLM(AutoModelForCausalLM.from_pretrained(folder / "model").eval(), None)
    common = {"model_kwargs": {}, "ignore_tokens": [BOS], "eval_batch_size_prompts": 8}
    batches = -(-len(ids) // 8)
    with torch.no_grad():
        downstream = get_downstream_reconstruction_metrics(
            sae,
            model,
            Batches(ids),
            ActivationScaler(),
            compute_kl=True,
            compute_ce_loss=True,
            n_batches=batches,
            **common,
        )
        variance, densities = get_sparsity_and_variance_metrics(
            sae,
            model,
            Batches(ids),
            ActivationScaler(),
            n_batches=batches,
            compute_l2_norms=True,
            compute_sparsity_metrics=True,
            compute_variance_metrics=True,
            compute_featurewise_density_statistics=True,
            **common,
        )
    dead = sum(density == 0 for density in densities["feature_density"]) / len(densities["feature_density"])
    return {**downstream, **variance, "dead": dead}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
