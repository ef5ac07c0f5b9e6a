"""Checks that a model, tokens and an SAE fit together, before anything is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.errors import ConfigError, DivergenceError
from mistudio_sae.fit import check_split_fits_model
from mistudio_sae.models import HookPoint, LanguageModel, capture, resolve
from mistudio_sae.saes import Sae
from mistudio_sae.target import target_of
from mistudio_sae.tokens import TokensReader


def check_inputs(lm: LanguageModel, reader: TokensReader, split: str, hook: HookPoint, sae: Sae) -> None:
    """Raise the `ScienceError` that says what does not fit.

    `TokensFormatError` for an empty split or tokens of another model, `HookPointError` for an absent hook point
    or one that a transcoder cannot read,
    `ConfigError` for an activation of another width.
    """
    check_split_fits_model(lm, reader, split)
    places = dict.fromkeys((hook, target_of(sae.config, hook)))
    for place in places:
        resolve(lm, place)
    for name, x in capture(lm, first_block(lm, reader, split), list(places)).items():
        width = x.shape[-1]
        if width != sae.config.d_in:
            raise ConfigError("sae", f"reads {sae.config.d_in} dimensions but {name} has {width}; choose its own hook.")


def first_block(lm: LanguageModel, reader: TokensReader, split: str) -> Tensor:
    """The first block of a split, int64 [1, context], on the model's device."""
    return torch.from_numpy(reader.blocks(split)[0:1]).to(lm.device)


def check_finite(values: Tensor, hook: HookPoint) -> None:
    """Raise `DivergenceError` when activations or latents hold NaN or infinity."""
    if not bool(values.sum().isfinite()):
        raise DivergenceError(hook.name, "", "activations or latents are not finite; use float32 or another SAE.")
