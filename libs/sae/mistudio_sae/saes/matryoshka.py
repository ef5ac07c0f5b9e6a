"""The Matryoshka SAE."""

import itertools

import torch
from torch import Tensor

from mistudio_sae.saes.batchtopk import BatchTopKSae, Kept


class MatryoshkaSae(BatchTopKSae):
    """A batch top-k SAE each of whose nested prefixes of latents reconstructs x by itself.

    L = mean_B [ Σ_g ‖x - x̂_g‖² + c_aux ‖e - ê‖² ],  x̂_g = f[:width_g] W_dec[:width_g] + b_dec,  e = x - x̂ (all latents)

    The first latents have to stand for what is frequent, so that later ones need not absorb it.
    Source: Bussmann et al. 2025, "Learning Multi-Level Features with Matryoshka Sparse Autoencoders".
    """

    def _reconstruct(self, x: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        error, total = x - self.b_dec, torch.zeros((), device=x.device)
        for low, high in itertools.pairwise((0, *self.config.widths)):
            error = error - kept.decode(self.W_dec, len(x), low, high)
            total = total + error.square().sum() / len(x)
        return total, error
