"""The skip transcoder."""

import torch
from torch import Tensor, nn

from mistudio_sae.saes.transcoder import Transcoder


class SkipTranscoder(Transcoder):
    """A transcoder with a linear path beside its latents, which need not spend themselves on what is linear.

    z = x W_enc + b_enc,  f = ReLU(TopK_k(z)),  ŷ = f W_dec + x W_skip + b_dec
    L = as the transcoder

    W_skip [d_in, d_in] starts at zero. Source: Paulo et al. 2025, "Transcoders Beat Sparse Autoencoders for
    Interpretability".
    """

    def _add_encoder_parameters(self) -> None:
        super()._add_encoder_parameters()
        self.W_skip = nn.Parameter(torch.zeros(self.config.d_in, self.config.d_in))

    def reconstruct(self, x: Tensor, f: Tensor) -> Tensor:
        """Return f W_dec + x W_skip + b_dec, [..., d_in]; `decode` alone leaves the skip path out."""
        return self.decode(f) + x @ self.W_skip

    @torch.no_grad()
    def fold_scale(self, scale: float, target_scale: float | None = None) -> None:
        """Fold both scales as the transcoder does; x W_skip becomes s x W_skip / t."""
        super().fold_scale(scale, target_scale)
        self.W_skip.mul_(scale / (target_scale or scale))

    def _beside_latents(self, x: Tensor) -> Tensor:
        return torch.addmm(self.b_dec, x, self.W_skip)
