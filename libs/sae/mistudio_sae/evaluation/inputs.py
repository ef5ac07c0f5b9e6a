"""Checks that a model, tokens and an SAE fit together, before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.errors import ConfigError, DivergenceError, TokensFormatError
from mistudio_sae.models import HookPoint, LanguageModel, capture, resolve
from mistudio_sae.saes import Sae
from mistudio_sae.tokens import TokensReader


def check_inputs(lm: LanguageModel, reader: TokensReader, split: str, hook: HookPoint, sae: Sae) -> None:
    """Raise the `ScienceError` that says what does not fit.

    `TokensFormatError` for an empty split or a foreign vocabulary, `HookPointError` for an absent hook point,
    `ConfigError` for a context or an activation of another width.
    """
    if len(reader.blocks(split)) == 0:
        raise TokensFormatError(f"Split {split!r} holds no blocks; tokenize more text or a shorter context.")
    if reader.info.vocab_size > lm.vocab_size:
        raise TokensFormatError(
            f"The tokens use a vocabulary of {reader.info.vocab_size} but the model has {lm.vocab_size}; "
            "tokenize with the model's own tokenizer."
        )
    if reader.info.context_length > lm.context_length:
        raise ConfigError(
            "context_length",
            f"is {reader.info.context_length} in the tokens but the model reads at most {lm.context_length}.",
        )
    resolve(lm, hook)
    width = capture(lm, first_block(lm, reader, split), [hook])[hook.name].shape[-1]
    if width != sae.config.d_in:
        raise ConfigError(
            "sae", f"reads {sae.config.d_in} dimensions but {hook.name} has {width}; choose its own hook."
        )


def first_block(lm: LanguageModel, reader: TokensReader, split: str) -> Tensor:
    """The first block of a split, int64 [1, context], on the model's device."""
    return torch.from_numpy(reader.blocks(split)[0:1]).to(lm.device)


def check_finite(values: Tensor, hook: HookPoint) -> None:
    """Raise `DivergenceError` when activations or latents hold NaN or infinity."""
    if not bool(values.sum().isfinite()):
        raise DivergenceError(hook.name, "", "activations or latents are not finite; use float32 or another SAE.")
