"""Encoder and decoder that pay for active latents only, forward and backward.

On the CPU in fp32 the loops of `loops` do it; elsewhere plain torch does, which is also what they are tested against.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mistudio_sae.kernels.codes import Codes
from mistudio_sae.kernels.shared import latent_sums, row_products, top, top_by_bf16, weighted_rows


def loops_apply(x: Tensor) -> bool:
    """Return whether the compiled loops work on such numbers."""
    return x.device.type == "cpu" and x.dtype is torch.float32


def encode_top(
    x: Tensor, b_dec: Tensor, w_enc: Tensor, b_enc: Tensor, k: int, *, among: Tensor | None = None, bf16: bool = False
) -> Codes:
    """Return ReLU(TopK_k((x - b_dec) W_enc + b_enc)) of x [B, d], with W_enc [d, m].

    `among` int64 [n] restricts it to these latents. With `bf16` they are chosen by a product of bfloat16 operands; the
    values of those chosen are of fp32 all the same. Differentiable to b_dec, W_enc and b_enc, not to x.
    """
    if loops_apply(x):
        values, latents = _EncodeTop.apply(x, b_dec, w_enc.T, b_enc, k, among, bf16)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return Codes.of_rows(values, latents)
    weights, bias = (w_enc.T, b_enc) if among is None else (w_enc.T[among], b_enc[among])
    values, latents = torch.nn.functional.linear(x - b_dec, weights, bias).topk(k, dim=-1, sorted=False)
    return Codes.of_rows(torch.relu(values), latents if among is None else among[latents])


def decode(codes: Codes, weights: Tensor) -> Tensor:
    """Return Σ_i f_i weights[i] of each token, [B, d], for weights [m, d]; differentiable to values and weights."""
    if loops_apply(weights):
        decoded: Tensor = _Decode.apply(codes.values, weights, codes)  # type: ignore[no-untyped-call]  # as above
        return decoded
    return torch.nn.functional.embedding_bag(
        codes.latents, weights, codes.begins, per_sample_weights=codes.values, mode="sum", include_last_offset=True
    )


class _EncodeTop(torch.autograd.Function):
    """Weights come as [m, d]: what a latent reads and moves lies together."""

    @staticmethod
    def forward(  # noqa: PLR0917 - as `encode_top`; torch passes no keywords
        ctx: Any,
        x: Tensor,
        b_dec: Tensor,
        weights: Tensor,
        b_enc: Tensor,
        k: int,
        among: Tensor | None,
        bf16: bool,  # noqa: FBT001 - as above
    ) -> tuple[Tensor, Tensor]:
        centred = x - b_dec
        rows, bias = (weights, b_enc) if among is None else (weights[among], b_enc[among])
        values, places = (top_by_bf16 if bf16 else top)(centred, rows, bias, k)
        latents = places if among is None else among[places]
        ctx.save_for_backward(centred, weights, values, latents)
        ctx.mark_non_differentiable(latents)
        return values, latents

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        centred, weights, values, latents = ctx.saved_tensors
        codes = Codes.of_rows(torch.where(values > 0, grads[0], 0), latents)
        d_bias = torch.zeros(len(weights)).index_add_(0, codes.latents, codes.values)
        return None, -(d_bias @ weights), latent_sums(codes, centred, len(weights)), d_bias, None, None, None


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, codes: Codes) -> Tensor:
        ctx.save_for_backward(values, weights)
        ctx.codes = replace(codes, values=values)
        return weighted_rows(ctx.codes, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        weights = ctx.saved_tensors[1]
        grad = grads[0].contiguous()
        return row_products(ctx.codes, grad, weights), latent_sums(ctx.codes, grad, len(weights)), None
