"""Latents whose decoder directions are alike."""

from __future__ import annotations

import torch
from torch import Tensor

from mistudio_sae.features.ranking import largest

_CHUNK = 256


def decoder_neighbours(decoder: Tensor, latents: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` other latents with the largest decoder cosine to each asked latent: (ids, cosines), [rows, count].

    decoder is [d_sae, d_in]; latents are ids int64 [rows]; neighbours come from the whole dictionary.
    """
    directions = torch.nn.functional.normalize(decoder.float(), dim=1)
    count = min(count, len(decoder) - 1)
    ids, cosines = [], []
    for chunk in torch.split(latents, _CHUNK):
        similarity = directions[chunk] @ directions.T
        similarity.scatter_(1, chunk.unsqueeze(1), -2.0)
        values, indices = largest(similarity, count)
        ids.append(indices)
        cosines.append(values)
    return torch.cat(ids), torch.cat(cosines)
