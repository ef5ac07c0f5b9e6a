"""`python -m bench.train.peers.dictionary`: dictionary_learning with its own buffer, in its own environment."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from dictionary_learning.buffer import ActivationBuffer
from dictionary_learning.trainers.top_k import AutoEncoderTopK, TopKTrainer
from dictionary_learning.training import trainSAE
from nnsight import LanguageModel

from bench.train.peers.serve import activations, blocks, held_out_fvu, repeated, serve, timed
from bench.train.workload import Workload

_BUFFERED_TOKENS = 65_536


class _Buffer(ActivationBuffer):
    """Reads packed tokens where its base reads texts, which would be tokenized in the measured time."""

    def text_batch(self, batch_size: int | None = None) -> torch.Tensor:
        """Returns the next blocks, int64 [batch, context]."""
        return torch.stack([next(self.data) for _ in range(batch_size or self.refresh_batch_size)])


def _buffer(workload: Workload) -> _Buffer:
    model = LanguageModel(workload.model, dispatch=True, device_map="cpu")
    ids = blocks(workload)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(workload.seed))
    context = ids.shape[1]
    return _Buffer(
        itertools.cycle(ids[order]),
        model,
        model.transformer.h[workload.layer],
        d_submodule=workload.d_in,
        n_ctxs=_BUFFERED_TOKENS // context,
        ctx_len=context,
        refresh_batch_size=workload.batch // context,
        out_batch_size=workload.batch,
    )


def _settings(workload: Workload) -> dict[str, Any]:
    return {
        "steps": workload.steps,
        "activation_dim": workload.d_in,
        "dict_size": workload.d_sae,
        "k": workload.k,
        "layer": workload.layer,
        "lm_name": "bench",
        "lr": workload.rate or None,
        "warmup_steps": max(1, workload.steps // 20),
        "decay_start": workload.steps - max(1, workload.steps // 5),
        "seed": workload.seed,
        "device": "cpu",
    }


def train(workload: Workload) -> dict[str, Any]:
    """Trains from tokens to the last step."""
    kept: list[TopKTrainer] = []

    class Kept(TopKTrainer):
        """The trainer that `trainSAE` makes and does not return."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            kept.append(self)

    buffer, settings = _buffer(workload), {"trainer": Kept, **_settings(workload)}
    seconds = timed(lambda: trainSAE(buffer, [settings], steps=workload.steps, device="cpu"))
    sae: AutoEncoderTopK = kept[0].ae
    return {"seconds": seconds, "fvu": held_out_fvu(workload, sae)}


def step(workload: Workload) -> dict[str, Any]:
    """Takes steps on the same activations."""
    trainer = TopKTrainer(**_settings(workload))
    x = activations(workload, blocks(workload)[: workload.batch // 64])[: workload.batch]
    trainer.update(0, x)
    return {"seconds": repeated(lambda: trainer.update(1, x), workload.steps)}


if __name__ == "__main__":
    serve({"train": train, "step": step})
