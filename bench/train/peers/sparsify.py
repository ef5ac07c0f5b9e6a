"""`python -m bench.train.peers.sparsify`: sparsify with Adam, in its own environment."""

from __future__ import annotations

import tempfile
from typing import Any

import torch
from datasets import Dataset
from sparsify import SaeConfig, TrainConfig, Trainer
from transformers import AutoModel

from bench.train.peers.serve import activations, blocks, held_out_fvu, repeated, serve, timed
from bench.train.workload import Workload


def _trainer(workload: Workload, folder: str) -> Trainer:
    ids = blocks(workload)
    shuffled = ids[torch.randperm(len(ids), generator=torch.Generator().manual_seed(workload.seed))]
    needed = workload.steps * workload.batch // ids.shape[1]
    data = Dataset.from_dict({"input_ids": shuffled.repeat(1 + needed // len(ids), 1)[:needed].tolist()})
    config = TrainConfig(
        SaeConfig(num_latents=workload.d_sae, k=workload.k),
        batch_size=workload.batch // ids.shape[1],
        optimizer="adam",
        lr=workload.rate or None,
        lr_warmup_steps=workload.steps // 20,
        layers=[workload.layer],
        log_to_wandb=False,
        save_dir=folder,
        init_seeds=[workload.seed],
        # Latents do not die so soon in its own window; of the others' AuxK nothing acts either.
        auxk_alpha=1 / 32,
    )
    model = AutoModel.from_pretrained(workload.model).eval()
    return Trainer(config, data.with_format("torch"), model)


def train(workload: Workload) -> dict[str, Any]:
    """Trains from tokens to the last step."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(workload, folder)
        seconds = timed(trainer.fit)
    (sae,) = trainer.saes.values()
    return {"seconds": seconds, "fvu": held_out_fvu(workload, lambda x: sae(x).sae_out)}


def step(workload: Workload) -> dict[str, Any]:
    """Takes steps on the same activations: what its trainer does with a batch."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _trainer(workload, folder)
    (sae,) = trainer.saes.values()
    x = activations(workload, blocks(workload)[: workload.batch // 64])[: workload.batch]

    def one() -> None:
        sae.set_decoder_norm_to_unit_norm()
        sae(x).fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        for optimizer in trainer.optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return {"seconds": repeated(one, workload.steps)}


if __name__ == "__main__":
    serve({"train": train, "step": step})
