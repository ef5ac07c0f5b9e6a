"""Train the demonstration model: ``python tools/demo_model/train.py --out FOLDER``.

Writes a folder in the transformers format with a model card. Needs no network: the text comes
with CPython. The same Python, torch, seed and thread count give the same weights.
"""

import argparse
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from card import Outcome, write_card
from corpus import Corpus, build_corpus
from loss import mean_loss, next_token_loss
from network import build_model, build_optimizers, learning_rate_share
from recipe import Recipe
from store import save_model
from tokenizer import BOUNDARY, save_tokenizer, train_tokenizer
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPT2LMHeadModel
from windows import encode_documents, epochs, pack

GRADIENT_NORM = 1.0
TRAIN_SAMPLE_WINDOWS = 400


@dataclass(frozen=True)
class Data:
    """The corpus and its documents as token ids."""

    corpus: Corpus
    train: list[Tensor]
    validation: list[Tensor]


def main() -> None:
    """Run the whole recipe and write the model folder."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    recipe = replace(Recipe(), steps=arguments.steps or Recipe().steps)
    torch.manual_seed(recipe.seed)
    started = time.monotonic()
    corpus = build_corpus()
    tokenizer = train_tokenizer(corpus.train, recipe.vocab_size)
    data = encode_corpus(corpus, tokenizer)
    model = build_model(recipe)
    seen = fit(model, data.train, pack(data.validation, recipe.context_length), recipe)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save_model(model, arguments.out)
    save_tokenizer(tokenizer, arguments.out, recipe.context_length)
    outcome = measure(model, data, recipe, seen)
    write_card(arguments.out, recipe, outcome, arguments.threads, time.monotonic() - started)
    print(outcome)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--steps", type=int, help="optimizer steps; the recipe's by default")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def encode_corpus(corpus: Corpus, tokenizer: Tokenizer) -> Data:
    """Tokenize both splits."""
    boundary = tokenizer.token_to_id(BOUNDARY)
    if boundary is None:
        raise ValueError(f"the tokenizer has no {BOUNDARY} token")
    splits = (encode_documents(tokenizer, texts, boundary) for texts in (corpus.train, corpus.validation))
    return Data(corpus, *splits)


def fit(model: GPT2LMHeadModel, train: Sequence[Tensor], validation: Tensor, recipe: Recipe) -> int:
    """Train in place, leave the best weights in the model and return the tokens seen.

    ``validation`` is ``[n, context_length]``. Stops early after ``recipe.patience`` validation
    losses in a row without an improvement.
    """
    optimizers = build_optimizers(model, recipe)
    order = torch.Generator().manual_seed(recipe.seed)
    batches = epochs(train, recipe.context_length, recipe.batch, order)
    best, best_state, misses, step = float("inf"), model.state_dict(), 0, 0
    for step in range(1, recipe.steps + 1):
        loss = _step(model, optimizers, next(batches), step - 1, recipe)
        if step % recipe.evaluate_every and step != recipe.steps:
            continue
        current = mean_loss(model, validation, recipe.batch)
        print(f"step {step} train {loss:.3f} validation {current:.4f}", flush=True)
        misses = 0 if current < best else misses + 1
        if current < best:
            best, best_state = current, copy.deepcopy(model.state_dict())
        if misses > recipe.patience:
            break
    model.load_state_dict(best_state)
    return step * recipe.batch * recipe.context_length


def _step(
    model: GPT2LMHeadModel,
    optimizers: Sequence[torch.optim.Optimizer],
    windows: Tensor,
    step: int,
    recipe: Recipe,
) -> float:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * learning_rate_share(step, recipe)
    loss = next_token_loss(model, windows)
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return float(loss)


def measure(
    model: GPT2LMHeadModel,
    data: Data,
    recipe: Recipe,
    tokens_seen: int,
) -> Outcome:
    """Collect the model card's figures from the kept weights, as stored (float16 rounded)."""
    length, corpus = recipe.context_length, data.corpus
    sample = pack(data.train, length)
    stride = max(1, len(sample) // TRAIN_SAMPLE_WINDOWS)
    return Outcome(
        parameters=sum(p.numel() for p in model.parameters()),
        train_documents=len(corpus.train),
        train_characters=corpus.characters[0],
        train_tokens=sum(map(len, data.train)),
        validation_documents=len(corpus.validation),
        validation_tokens=sum(map(len, data.validation)),
        validation_bytes=sum(len(text.encode()) for text in corpus.validation),
        tokens_seen=tokens_seen,
        train_loss=mean_loss(model, sample[::stride], recipe.batch),
        validation_loss=mean_loss(model, pack(data.validation, length), recipe.batch),
    )


if __name__ == "__main__":
    main()
