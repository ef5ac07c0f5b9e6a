"""`python -m bench.train.ours`: this project's own training, as a bare loop."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bench.train.peers.serve import activations, blocks, held_out_fvu, repeated, serve
from bench.train.workload import Workload
from mistudio_sae.activations import ActivationSource, Harvest
from mistudio_sae.models import HookPoint, LanguageModel, load_model
from mistudio_sae.reporting import SilentReporter
from mistudio_sae.saes import SaeConfig
from mistudio_sae.tokens import TokensReader, TokensWriter
from mistudio_sae.training import TrainingConfig, train
from mistudio_sae.training.trainee import Trainee


def train_bare(workload: Workload) -> dict[str, Any]:
    """Trains from tokens to the last step, with nothing but the library's own loop."""
    lm, hook = _model(workload)
    config = TrainingConfig(
        total_tokens=workload.steps * workload.batch,
        batch_tokens=workload.batch,
        learning_rate=workload.rate or None,
        seed=workload.seed,
        evaluation_tokens=0,
    )
    saes = [_sae(workload, number) for number in range(workload.saes)]
    with tempfile.TemporaryDirectory() as folder:
        tokens = _packed(workload, lm, Path(folder) / "tokens")
        begin = time.perf_counter()
        trained = train(lm, tokens, [hook], saes, config, Path(folder) / "checkpoints", SilentReporter())
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "fvu": held_out_fvu(workload, trained[0].sae)}


def step(workload: Workload) -> dict[str, Any]:
    """Takes steps on the same activations."""
    _, hook = _model(workload)
    x = activations(workload, blocks(workload)[: workload.batch // 64])[: workload.batch]
    run = TrainingConfig(total_tokens=10**9, batch_tokens=workload.batch, bf16=workload.bf16)
    trainee = Trainee(hook, _sae(workload, 0), run, x)
    return {"seconds": repeated(lambda: trainee.step(x, 10**5, measure=False), workload.steps)}


def harvest(workload: Workload) -> dict[str, Any]:
    """Fills and draws from the shuffle buffer, without training."""
    lm, hook = _model(workload)
    with tempfile.TemporaryDirectory() as folder:
        source = _source(workload, _packed(workload, lm, Path(folder)), lm, hook)

        def draw() -> None:
            while source.hungry:
                source.harvest_once()
            source.draw(workload.batch)

        return {"seconds": repeated(draw, workload.steps)}


def bare(workload: Workload) -> dict[str, Any]:
    """Runs the transformers model itself up to the layer: no hooks, no buffer, no later layers."""
    lm, _ = _model(workload)
    ids = blocks(workload)
    base = lm.base
    base.h = base.h[: workload.layer + 1]  # type: ignore[index, operator]  # a GPT-2
    base.ln_f = torch.nn.Identity()
    count = workload.batch // ids.shape[1]
    parts = iter(ids.repeat(1 + workload.steps * count // len(ids) + 1, 1).split(count))

    @torch.no_grad()
    def forward() -> None:
        base(next(parts), use_cache=False)

    return {"seconds": repeated(forward, workload.steps)}


def _model(workload: Workload) -> tuple[LanguageModel, HookPoint]:
    dtype = "bfloat16" if workload.bf16 else "float32"
    return load_model(workload.model, dtype=dtype), HookPoint.parse(f"layer.{workload.layer}.resid_post")


def _sae(workload: Workload, number: int) -> SaeConfig:
    # SAEs of a sweep differ in what does not change their cost.
    return SaeConfig("topk", workload.d_in, workload.d_sae, k=workload.k, aux_coefficient=1 / (32 + number))


def _packed(workload: Workload, lm: LanguageModel, folder: Path) -> TokensReader:
    ids = blocks(workload)
    with TokensWriter(folder, context_length=ids.shape[1], vocab_size=lm.vocab_size, tokenizer="bench") as writer:
        writer.add_document(ids.flatten().numpy(), 0)
    return TokensReader.open(folder)


def _source(workload: Workload, tokens: TokensReader, lm: LanguageModel, hook: HookPoint) -> ActivationSource:
    config = TrainingConfig(total_tokens=workload.steps * workload.batch, batch_tokens=workload.batch)
    size = config.harvest_size(tokens.info.context_length)
    rows = size * tokens.info.context_length
    reading = Harvest(lm, tokens, [hook], block_batch=size, seed=workload.seed)
    return ActivationSource(reading, capacity=config.buffer_tokens, harvest_rows=rows, seed=workload.seed)


if __name__ == "__main__":
    serve({"train": train_bare, "step": step, "harvest": harvest, "bare": bare})
