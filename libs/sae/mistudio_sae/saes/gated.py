"""The gated SAE."""

import torch
from torch import Tensor, nn

from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.unit_norm import UnitNormSae


class GatedSae(UnitNormSae):
    """Decides which latents are active by one path and how much by another, so the penalty shrinks none of them.

    u = (x - b_dec) W_enc,  π = u + b_gate,  f = 1[π > 0] ⊙ ReLU(exp(r_mag) ⊙ u + b_mag)
    L = mean_B [ ‖x - x̂(f)‖² + λ ‖ReLU(π)‖₁ + ‖x - x̂_frozen(ReLU(π))‖² ]

    x̂_frozen decodes with W_dec and b_dec as constants: only the gate learns from it. The encoder has b_gate, b_mag and
    r_mag, each [d_sae], in place of b_enc. Source: Rajamanoharan et al. 2024, "Improving Dictionary Learning with
    Gated Sparse Autoencoders", section 3.2.
    """

    def _add_encoder_parameters(self) -> None:
        self.b_gate = nn.Parameter(torch.zeros(self.config.d_sae))
        self.b_mag = nn.Parameter(torch.zeros(self.config.d_sae))
        self.r_mag = nn.Parameter(torch.zeros(self.config.d_sae))

    def pre_activations(self, x: Tensor) -> Tensor:
        """Return the gate's π = (x - b_dec) W_enc + b_gate, [..., d_sae], for x [..., d_in]."""
        return nn.functional.linear(x - self.b_dec, self.W_enc.T, self.b_gate)

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in]."""
        return self._gated(self.pre_activations(x))

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in]; the dead mask plays no part."""
        gate = self.pre_activations(x)
        open_ = torch.relu(gate)
        f = self._gated(gate)
        reconstruction = (self.decode(f) - x).square().sum() / len(x)
        frozen = nn.functional.linear(open_, self.W_dec.detach().T, self.b_dec.detach())
        auxiliary = (frozen - x).square().sum() / len(x)
        sparsity = sparsity_scale * self.config.l1_coefficient * open_.sum() / len(x)
        return LossTerms(
            loss=reconstruction + sparsity + auxiliary,
            reconstruction=reconstruction.detach(),
            sparsity=sparsity.detach(),
            auxiliary=auxiliary.detach(),
            fired=(f.detach() > 0).sum(0),
        )

    def _gated(self, gate: Tensor) -> Tensor:
        magnitude = torch.relu(self.r_mag.exp() * (gate - self.b_gate) + self.b_mag)
        return torch.where(gate > 0, magnitude, 0)

    @torch.no_grad()
    def fold_decoder_norm(self) -> None:
        """Give every decoder row exactly unit norm and each latent's magnitude the norm that its row had."""
        norms = self.W_dec.norm(dim=1).clamp_min(torch.finfo(self.W_dec.dtype).tiny)
        self.W_dec.div_(norms[:, None])
        self.r_mag.add_(norms.log())
        self.b_mag.mul_(norms)
