"""Decoders whose rows keep unit norm."""

import torch

from mistudio_sae.saes.base import Sae


class UnitNormSae(Sae):
    """An SAE that cannot evade its sparsity by growing W_dec: each row of it stays a direction.

    Source: Bricken et al. 2023, "Advice for training sparse autoencoders"; Gao et al. 2024, A.1.
    """

    @torch.no_grad()
    def after_backward(self) -> None:
        """Remove the part of W_dec's gradient along each row, which would only be undone after the step."""
        grad = self.W_dec.grad
        if grad is not None:
            along = (grad * self.W_dec).sum(1, keepdim=True)
            grad.addcmul_(along, self.W_dec, value=-1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Set each decoder row back to unit norm."""
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(torch.finfo(self.W_dec.dtype).tiny))
