"""`python -m bench.train.peers.saelens`: SAELens, in its own environment."""

from __future__ import annotations

import os
from typing import Any

import torch
from datasets import Dataset
from sae_lens import LanguageModelSAERunnerConfig, LoggingConfig, SAETrainer
from sae_lens.load_model import load_model
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.activations_store import ActivationsStore

from bench.train.peers.serve import activations, blocks, held_out_fvu, repeated, serve, timed
from bench.train.workload import Workload

_TUNED = os.environ.get("BENCH_TUNED") == "1"
"""Its best tuning: autocast, model and SAE compiled."""


def _config(workload: Workload) -> LanguageModelSAERunnerConfig[Any]:
    sae = TopKTrainingSAEConfig(
        d_in=workload.d_in, d_sae=workload.d_sae, k=workload.k, normalize_activations="expected_average_only_in"
    )
    context = int(blocks(workload).shape[1])
    return LanguageModelSAERunnerConfig(
        sae=sae,
        model_name=workload.model,
        model_class_name="AutoModelForCausalLM",
        hook_name=f"transformer.h.{workload.layer}",
        dataset_path="-",
        context_size=context,
        training_tokens=workload.steps * workload.batch,
        train_batch_size_tokens=workload.batch,
        store_batch_size_prompts=max(1, workload.batch // context),
        n_batches_in_buffer=512,  # of contexts, whatever its name: 65,536 tokens, as ours
        prepend_bos=False,
        streaming=False,
        lr=workload.rate,
        lr_warm_up_steps=workload.steps // 20,
        lr_decay_steps=workload.steps // 5,
        seed=workload.seed,
        autocast=workload.bf16,
        autocast_lm=workload.bf16,
        n_batches_for_norm_estimate=4,
        logger=LoggingConfig(log_to_wandb=False),
        checkpoint_path=None,
        output_path=None,
    )


def _parts(workload: Workload) -> tuple[ActivationsStore, SAETrainer[Any, Any]]:
    torch.manual_seed(workload.seed)
    config = _config(workload)
    model = load_model("AutoModelForCausalLM", workload.model, "cpu", hook_names=[config.hook_name])
    if _TUNED:  # as its own runner does
        model.run_with_cache = torch.compile(model.run_with_cache)
    data = Dataset.from_dict({"tokens": blocks(workload).repeat(20, 1).tolist()})
    store = ActivationsStore.from_config(model, config, override_dataset=data)
    sae = TopKTrainingSAE(config.sae)
    if _TUNED:
        sae.training_forward_pass = torch.compile(sae.training_forward_pass)
    return store, SAETrainer(config.to_sae_trainer_config(), sae, iter(store))


def train(workload: Workload) -> dict[str, Any]:
    """Trains from tokens to the last step; what is compiled is compiled before."""
    _, trainer = _parts(workload)
    trainer.step(next(trainer.data_provider))
    trainer.n_training_samples = 0
    seconds = timed(trainer.fit)
    return {"seconds": seconds, "fvu": held_out_fvu(workload, trainer.sae)}


def step(workload: Workload) -> dict[str, Any]:
    """Takes steps on the same activations."""
    _, trainer = _parts(workload)
    trainer.activation_scaler.scaling_factor = 1.0
    x = activations(workload, blocks(workload)[: workload.batch // 64])[: workload.batch]
    return {"seconds": repeated(lambda: trainer.step(x), workload.steps)}


def harvest(workload: Workload) -> dict[str, Any]:
    """Draws batches of activations."""
    store, _ = _parts(workload)
    batches = iter(store)
    return {"seconds": repeated(lambda: next(batches), workload.steps)}


if __name__ == "__main__":
    serve({"train": train, "step": step, "harvest": harvest})
