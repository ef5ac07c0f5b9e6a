"""The standard SAE."""

import torch
from torch import Tensor

from mistudio_sae.saes.base import Sae
from mistudio_sae.saes.loss import LossTerms


class StandardSae(Sae):
    """ReLU encoder with an L1 penalty weighted by decoder norms.

    f = ReLU((x - b_dec) W_enc + b_enc)
    L = mean_B [ ‖x - x̂‖² + λ Σ_i f_i ‖W_dec,i‖₂ ]

    The norms in the penalty take away the gain of shrinking f and growing W_dec, so the decoder is unconstrained.
    Source: Anthropic, Circuits Updates April 2024; Bricken et al. 2023.
    """

    initial_decoder_norm = 0.1

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in]."""
        return torch.relu(self.pre_activations(x))

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in]; the dead mask plays no part."""
        f = self.encode(x)
        reconstruction = (self.decode(f) - x).square().sum() / len(x)
        # Σ_B Σ_i f_i ‖W_i‖ as a vector product: the sum over tokens first.
        penalty = f.sum(0) @ self.W_dec.norm(dim=1) / len(x)
        sparsity = sparsity_scale * self.config.l1_coefficient * penalty
        return LossTerms(
            loss=reconstruction + sparsity,
            reconstruction=reconstruction.detach(),
            sparsity=sparsity.detach(),
            auxiliary=torch.zeros_like(sparsity),
            fired=(f.detach() > 0).sum(0),
        )
