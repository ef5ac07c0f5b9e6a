"""The top-k SAE."""

import torch
from torch import Tensor

from mistudio_sae.kernels import Codes, decode, encode_top
from mistudio_sae.saes.auxiliary import auxiliary_loss
from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.unit_norm import UnitNormSae


class TopKSae(UnitNormSae):
    """Keeps the k largest pre-activations of each token, so L0 is set and needs no penalty.

    z = (x - b_dec) W_enc + b_enc,  f = ReLU(TopK_k(z))
    L = mean_B [ ‖x - x̂‖² + c_aux ‖e - ê‖² ],  e = x - x̂ (no gradient through it), ê of `auxiliary.auxiliary_loss`

    Source: Gao et al. 2024, sections 2.3, A.1 to A.3.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in], at most k of them above 0."""
        rows = x.reshape(-1, self.config.d_in)
        return self._codes(rows).dense(self.config.d_sae).view(*x.shape[:-1], self.config.d_sae)

    def encode_sparse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the k kept values and their latent indices, both [..., k] in no particular order; a value may be 0."""
        codes, shape = self._codes(x.reshape(-1, self.config.d_in)), (*x.shape[:-1], self.config.k or 1)
        return codes.values.view(shape), codes.latents.view(shape)

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in]; latents in `dead_mask` [d_sae] get the AuxK loss."""
        return self._loss_towards(x, x, dead_mask)

    def _loss_towards(self, x: Tensor, target: Tensor, dead_mask: Tensor) -> LossTerms:
        codes = self._codes(x)
        error = target - (decode(codes, self.W_dec) + self._beside_latents(x))
        reconstruction = error.square().sum() / len(x)
        auxiliary = auxiliary_loss(self, x, error.detach(), dead_mask)
        return LossTerms(
            loss=reconstruction + self.config.aux_coefficient * auxiliary,
            reconstruction=reconstruction.detach(),
            sparsity=torch.zeros_like(reconstruction),
            auxiliary=auxiliary.detach(),
            fired=codes.fired(self.config.d_sae),
        )

    def _beside_latents(self, x: Tensor) -> Tensor:  # noqa: ARG002 - a skip path reads it
        return self.b_dec

    def _codes(self, x: Tensor) -> Codes:
        return encode_top(x, self.input_centre, self.W_enc, self.b_enc, self.config.k or 1, bf16=self.bf16_operands)
