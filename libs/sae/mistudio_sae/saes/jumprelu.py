"""The JumpReLU SAE."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.unit_norm import UnitNormSae

_OF_MEAN_NORM = 0.001
"""Bandwidth and first thresholds, as a share of E‖x‖, to which the paper scales its data."""
_TANH_SCALE = 4.0
_PRE_ACTIVATION_COEFFICIENT = 3e-6
"""Of the tanh variant: c, and λ_P, which brings back latents that never fire."""


class JumpReluSae(UnitNormSae):
    """Each latent has a threshold θ_i = exp(log θ_i) of its own, below which it is 0.

    z = (x - b_dec) W_enc + b_enc,  f = z ⊙ H(z - θ)
    L = mean_B [ ‖x - x̂‖² + λ Σ_i H(z_i - θ_i) ]

    Thresholds have no gradient but the straight-through one, with the rectangle K(u) = 1[|u| < 1/2]:
    ∂f_i/∂θ_i := -(θ_i / ε) K((z_i - θ_i) / ε),  ∂H/∂θ_i := -(1 / ε) K((z_i - θ_i) / ε).
    With the penalty "tanh": λ Σ_i tanh(c f_i) + λ_P Σ_i ReLU(θ_i - z_i), f differentiated to z and θ by the same
    rectangle. Sources: Rajamanoharan et al. 2024, "Jumping Ahead", sections 3 and 4; Anthropic, Circuits Updates
    January 2025.
    """

    def _add_encoder_parameters(self) -> None:
        super()._add_encoder_parameters()
        start = self.config.initial_threshold or self.bandwidth
        self.log_threshold = nn.Parameter(torch.full((self.config.d_sae,), math.log(start)))

    @property
    def threshold(self) -> Tensor:
        """θ [d_sae]."""
        return self.log_threshold.exp()

    @property
    def bandwidth(self) -> float:
        """ε."""
        return self.config.bandwidth or _OF_MEAN_NORM * math.sqrt(self.config.d_in)

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in]."""
        z = self.pre_activations(x)
        return torch.where(z > self.threshold, z, 0)

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in]; the dead mask plays no part."""
        z, threshold = self.pre_activations(x), self.threshold
        f: Tensor = _Jump.apply(z, threshold, self.bandwidth)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        reconstruction = (self.decode(f) - x).square().sum() / len(x)
        sparsity = sparsity_scale * self._penalty(z, f, threshold) / len(x)
        return LossTerms(
            loss=reconstruction + sparsity,
            reconstruction=reconstruction.detach(),
            sparsity=sparsity.detach(),
            auxiliary=torch.zeros_like(sparsity).detach(),
            fired=(f.detach() > 0).sum(0),
        )

    def _penalty(self, z: Tensor, f: Tensor, threshold: Tensor) -> Tensor:
        if self.config.jumprelu_penalty == "l0":
            active: Tensor = _Step.apply(z, threshold, self.bandwidth)  # type: ignore[no-untyped-call]  # as above
            return self.config.l0_coefficient * active.sum()
        silent = torch.relu(threshold - z).sum()
        return self.config.l0_coefficient * torch.tanh(_TANH_SCALE * f).sum() + _PRE_ACTIVATION_COEFFICIENT * silent

    @torch.no_grad()
    def fold_decoder_norm(self) -> None:
        """Give every decoder row exactly unit norm, and each latent and its threshold the norm that its row had."""
        norms = self.W_dec.norm(dim=1).clamp_min(torch.finfo(self.W_dec.dtype).tiny)
        super().fold_decoder_norm()
        self.log_threshold.add_(norms.log())


class _Jump(torch.autograd.Function):
    """z H(z - θ), with the pseudo-derivative to θ."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return torch.where(z > threshold, z, 0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        z, threshold = ctx.saved_tensors
        near = _near(z, threshold, ctx.bandwidth)
        return torch.where(z > threshold, grads[0], 0), -(threshold / ctx.bandwidth) * (near * grads[0]).sum(0), None


class _Step(torch.autograd.Function):
    """H(z - θ), with the pseudo-derivative to θ and none to z."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(z, threshold)
        ctx.bandwidth = bandwidth
        return (z > threshold).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        z, threshold = ctx.saved_tensors
        near = _near(z, threshold, ctx.bandwidth)
        return None, -(near * grads[0]).sum(0) / ctx.bandwidth, None


def _near(z: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
    return ((z - threshold).abs() < bandwidth / 2).to(z.dtype)
