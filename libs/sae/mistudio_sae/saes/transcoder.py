"""The transcoder."""

import torch
from torch import Tensor

from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.topk import TopKSae


class Transcoder(TopKSae):
    """Reads the input x of an MLP and reconstructs its output y from k latents: a sparse stand-in for the MLP.

    z = x W_enc + b_enc,  f = ReLU(TopK_k(z)),  ŷ = f W_dec + b_dec
    L = mean_B [ ‖y - ŷ‖² + c_aux ‖e - ê‖² ],  e = y - ŷ (no gradient through it), ê as of the top-k SAE

    b_dec belongs to y alone, so nothing is taken off x. In training x and y have a scale each. Sources: Dunefsky et al.
    2024, "Transcoders Find Interpretable LLM Feature Circuits" (with an L1 penalty); Paulo et al. 2025, "Transcoders
    Beat Sparse Autoencoders for Interpretability" (with top-k).
    """

    @property
    def input_centre(self) -> Tensor:
        """Nothing, [d_in] zeros."""
        return torch.zeros_like(self.b_dec)

    def paired_loss(
        self,
        x: Tensor,
        target: Tensor,
        dead_mask: Tensor,
        sparsity_scale: float = 1.0,  # noqa: ARG002 - k decides
    ) -> LossTerms:
        """Return the loss of x towards the rows of `target`, both [B, d_in]; dead latents get the AuxK loss."""
        return self._loss_towards(x, target, dead_mask)

    @torch.no_grad()
    def fold_scale(self, scale: float, target_scale: float | None = None) -> None:
        """Make this transcoder, trained on scale·x and target_scale·y (None: scale·y), map raw x to raw y.

        f = act(s x W_enc + b_enc) = act(x (s W_enc) + b_enc) and ŷ = (f W_dec + b_dec) / t.
        """
        self.W_enc.mul_(scale)
        self.W_dec.div_(target_scale or scale)
        self.b_dec.div_(target_scale or scale)
