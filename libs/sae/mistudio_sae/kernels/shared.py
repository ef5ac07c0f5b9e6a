"""The compiled loops on tensors, each shared among torch's threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mistudio_sae.kernels import loops
from mistudio_sae.kernels.codes import Codes
from mistudio_sae.kernels.share import evenly, share

_CHUNK_NUMBERS = 2**21
_CHUNK_ROWS = 512
"""Pre-activations that are computed at a time: few enough for a cache, in rows enough for an efficient product."""


def top(x: Tensor, weights: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of x weightsᵀ + bias for each row, ReLU'd, and their places; x [B, d], weights [m, d].

    Values fp32 and places int64, [B, k], in no particular order. Pre-activations exist for some of the rows at a time.
    """
    values = torch.zeros(len(x), k)
    places = torch.zeros(len(x), k, dtype=torch.int64)
    rows = max(1, min(len(x), max(_CHUNK_ROWS, _CHUNK_NUMBERS // len(weights))))
    products = x.new_empty(rows, len(weights))  # once: fresh memory costs as much as writing it
    numbers = products if products.dtype is torch.float32 else products.float()
    for low in range(0, len(x), rows):
        part = slice(low, min(low + rows, len(x)))
        count = part.stop - low
        torch.mm(x[part], weights.T, out=products[:count])
        if numbers is not products:
            numbers[:count].copy_(products[:count])
        _top_of_rows(numbers[:count], bias.float(), values[part], places[part])
    return values.relu_(), places


def top_by_bf16(x: Tensor, weights: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return as `top` does, chosen by bfloat16 pre-activations, but with values of fp32."""
    _, places = top(x.bfloat16(), weights.bfloat16(), bias.bfloat16(), k)
    products = row_products(Codes.of_rows(torch.empty(0, k), places), x, weights)
    return products.view(len(x), k).add_(bias[places]).relu_(), places


def _top_of_rows(z: Tensor, bias: Tensor, values: Tensor, places: Tensor) -> None:
    numbers, added, kept, kept_places = z.numpy(), bias.detach().numpy(), values.numpy(), places.numpy()
    k = kept.shape[1]
    share(evenly(len(z)), lambda part: loops.top_of_rows(numbers[part], added, k, kept[part], kept_places[part]))


def weighted_rows(codes: Codes, weights: Tensor) -> Tensor:
    """Return Σ_i f_i weights[i] of each token, [B, d]."""
    out = torch.zeros(codes.batch, weights.shape[1])
    begins, latents, values = codes.begins.numpy(), codes.latents.numpy(), codes.values.detach().numpy()
    rows, sums = weights.detach().numpy(), out.numpy()

    def loop(part: slice) -> None:
        loops.weighted_rows(begins[part.start : part.stop + 1], latents, values, rows, sums[part])

    share(evenly(codes.batch), loop)
    return out


def row_products(codes: Codes, x: Tensor, weights: Tensor) -> Tensor:
    """Return x[t] · weights[i] for each entry (token t, latent i), [n]."""
    out = torch.empty(len(codes.latents))
    begins, latents = codes.begins.numpy(), codes.latents.numpy()
    left, right, products = x.numpy(), weights.detach().numpy(), out.numpy()

    def loop(part: slice) -> None:
        loops.row_products(begins[part.start : part.stop + 1], latents, left[part], right, products)

    share(evenly(codes.batch), loop)
    return out


def latent_sums(codes: Codes, x: Tensor, d_sae: int) -> Tensor:
    """Return Σ_t f_i[t] x[t] of each latent, [d_sae, d]: the gradient of what was multiplied with the codes."""
    out = torch.zeros(d_sae, x.shape[1])
    begins, order = loops.by_latent(codes.latents.numpy(), d_sae)
    tokens, values, rows, sums = codes.tokens.numpy(), codes.values.detach().numpy(), x.numpy(), out.numpy()

    def loop(part: slice) -> None:
        loops.latent_sums(begins[part.start : part.stop + 1], order, tokens, values, rows, sums[part])

    share(_by_entries(begins), loop)
    return out


def _by_entries(begins: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Sequence[int]:
    """Return bounds of ranges of latents with about as many entries each; some latents fire far more than others."""
    cuts = np.searchsorted(begins, evenly(int(begins[-1]))[1:-1])
    return [0, *cuts.tolist(), len(begins) - 1]
