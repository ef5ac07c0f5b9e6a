"""What a latent writes towards the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mistudio_sae.features.ranking import largest

_CHUNK = 256


@dataclass(frozen=True)
class LogitLens:
    """The ends of each latent's logit vector; the first axis is the latent's row."""

    top_tokens: Tensor
    """Token ids with the largest logits, best first, int64 [rows, k]."""
    top_values: Tensor
    """Their logits, float32 [rows, k]."""
    bottom_tokens: Tensor
    """Token ids with the smallest logits, lowest first, int64 [rows, k]."""
    bottom_values: Tensor
    """Their logits, float32 [rows, k]."""
    sharpness: Tensor
    """Mean of the top logits in standard deviations above the mean over the vocabulary, float32 [rows]."""


def logit_lens(decoder: Tensor, unembedding: Tensor, norm_weight: Tensor | None, count: int) -> LogitLens:
    """Project decoder rows [rows, d_model] on unembedding [d_model, vocab] (nostalgebraist 2020).

    The final norm's elementwise weight [d_model] is folded in; its centring and its scale, which depends on the
    whole residual stream and not on one direction, are not. Works through `_CHUNK` latents at a time.
    """
    weighted = decoder if norm_weight is None else decoder * norm_weight
    parts = [_lens_chunk(chunk @ unembedding, count) for chunk in torch.split(weighted, _CHUNK)]
    return LogitLens(*(torch.cat(column) for column in zip(*parts, strict=True)))


def no_logit_lens(rows: int) -> LogitLens:
    """The empty lens of an SAE that does not write to the residual stream."""
    tokens, values = torch.zeros(rows, 0, dtype=torch.int64), torch.zeros(rows, 0)
    return LogitLens(tokens, values, tokens, values, torch.zeros(rows))


def _lens_chunk(logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    top_values, top_tokens = largest(logits, count)
    bottom_values, bottom_tokens = largest(-logits, count)
    spread = logits.std(dim=1).clamp(min=1e-12)
    height = top_values.mean(dim=1) if top_values.shape[1] else logits.mean(dim=1)
    sharpness = (height - logits.mean(dim=1)) / spread
    return top_tokens, top_values, bottom_tokens, -bottom_values, sharpness
