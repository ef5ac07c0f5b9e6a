"""The largest latents of a token, decoded without the others."""

import torch
from torch import Tensor

from mistudio_sae.saes.unit_norm import UnitNormSae


def top(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of z [..., n], ReLU'd, and their indices, both [..., k] in no particular order."""
    values, indices = z.topk(k, dim=-1, sorted=False)
    return torch.relu(values), indices


def decode_rows(values: Tensor, indices: Tensor, weights: Tensor) -> Tensor:
    """Return Σ_j values_j weights[indices_j], [B, d], for values and indices [B, k] and weights [m, d].

    k rows a token instead of m, forward and backward.
    """
    return torch.nn.functional.embedding_bag(indices, weights, per_sample_weights=values, mode="sum")


def auxiliary_loss(sae: UnitNormSae, z: Tensor, error: Tensor, dead_mask: Tensor) -> Tensor:
    """Return AuxK: ‖e - ê‖², a mean over tokens, for pre-activations z [B, d_sae] and the error e [B, d_in].

    ê = ReLU(TopK_kaux(z over dead latents)) W_dec, kaux = min(d_in / 2, number of dead latents). It has no b_dec: x̂ in
    e already holds it. 0 where nothing is dead. Source: Gao et al. 2024, A.2.
    """
    dead = dead_mask.nonzero().squeeze(1)
    if len(dead) == 0 or sae.config.aux_coefficient == 0:
        return z.new_zeros(())
    values, places = top(z[:, dead], min(sae.config.d_in // 2 or 1, len(dead)))
    return (error - decode_rows(values, dead[places], sae.W_dec)).square().sum() / len(error)
