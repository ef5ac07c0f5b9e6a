"""The top-k SAE."""

import torch
from torch import Tensor

from mistudio_sae.saes.base import Sae
from mistudio_sae.saes.loss import LossTerms


class TopKSae(Sae):
    """Keeps the k largest pre-activations of each token, so L0 is set and needs no penalty.

    z = (x - b_dec) W_enc + b_enc,  f = ReLU(TopK_k(z))
    L = mean_B [ ‖x - x̂‖² + c_aux ‖e - ê‖² ],  e = x - x̂ (no gradient through it),
    ê = ReLU(TopK_kaux(z over dead latents)) W_dec, kaux = min(d_in / 2, number of dead latents)

    ê has no b_dec: x̂ in e already holds it. Decoder rows keep unit norm, and the part of their gradient that would
    change it is removed. Source: Gao et al. 2024, sections 2.3, A.1 to A.3.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in], at most k of them above 0."""
        values, indices = self.encode_sparse(x)
        dense = values.new_zeros((*x.shape[:-1], self.config.d_sae))
        return dense.scatter_(-1, indices, values)

    def encode_sparse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the k kept values and their latent indices, both [..., k] in no particular order; a value may be 0."""
        return _top(self.pre_activations(x), self.config.k or 1)

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in]; latents in `dead_mask` [d_sae] get the AuxK loss."""
        z = self.pre_activations(x)
        values, indices = _top(z, self.config.k or 1)
        error = x - (self._decode_sparse(values, indices) + self.b_dec)
        reconstruction = error.square().sum() / len(x)
        auxiliary = self._auxiliary_loss(z, error.detach(), dead_mask)
        return LossTerms(
            loss=reconstruction + self.config.aux_coefficient * auxiliary,
            reconstruction=reconstruction.detach(),
            sparsity=torch.zeros_like(reconstruction),
            auxiliary=auxiliary.detach(),
            fired=torch.bincount(indices[values.detach() > 0], minlength=self.config.d_sae),
        )

    @torch.no_grad()
    def after_backward(self) -> None:
        """Remove the part of W_dec's gradient along each row."""
        grad = self.W_dec.grad
        if grad is not None:
            along = (grad * self.W_dec).sum(1, keepdim=True)
            grad.addcmul_(along, self.W_dec, value=-1)

    @torch.no_grad()
    def after_step(self) -> None:
        """Set each decoder row back to unit norm."""
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True).clamp_min(torch.finfo(self.W_dec.dtype).tiny))

    def _decode_sparse(self, values: Tensor, indices: Tensor) -> Tensor:
        """Return Σ_j values_j W_dec[indices_j], [B, d_in]: k rows a token instead of d_sae, forward and backward."""
        return torch.nn.functional.embedding_bag(indices, self.W_dec, per_sample_weights=values, mode="sum")

    def _auxiliary_loss(self, z: Tensor, error: Tensor, dead_mask: Tensor) -> Tensor:
        dead = dead_mask.nonzero().squeeze(1)
        if len(dead) == 0 or self.config.aux_coefficient == 0:
            return z.new_zeros(())
        k_aux = min(self.config.d_in // 2 or 1, len(dead))
        values, places = _top(z[:, dead], k_aux)
        return (error - self._decode_sparse(values, dead[places])).square().sum() / len(error)


def _top(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, indices = z.topk(k, dim=-1, sorted=False)
    return torch.relu(values), indices
