"""What every SAE has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mistudio_sae.saes.config import SaeConfig
from mistudio_sae.saes.loss import LossTerms


class Sae(nn.Module, ABC):
    """A sparse autoencoder: latents f of x ∈ R^d_in, and the reconstruction x̂ = f W_dec + b_dec.

    Parameters: W_enc [d_in, d_sae], b_enc [d_sae], W_dec [d_sae, d_in], b_dec [d_in].
    """

    initial_decoder_norm = 1.0
    """Norm of the decoder's rows at the start when the configuration leaves it open."""

    def __init__(self, config: SaeConfig, generator: torch.Generator) -> None:
        """Draw W_dec's directions from `generator`; W_enc starts as its transpose and the biases at zero."""
        super().__init__()
        self.config = config
        self.bf16_operands = False
        """Whether matrix products of training may take their operands in bfloat16; weights and sums stay in fp32."""
        norm = config.decoder_init_norm or self.initial_decoder_norm
        directions = torch.randn(config.d_sae, config.d_in, generator=generator)
        decoder = norm * nn.functional.normalize(directions, dim=1)
        self.W_dec = nn.Parameter(decoder)
        # [d_in, d_sae] in shape, but in memory the numbers of a latent lie together, as sparse gradients move them.
        self.W_enc = nn.Parameter(decoder.clone().T)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))
        self._add_encoder_parameters()

    def _add_encoder_parameters(self) -> None:
        self.b_enc = nn.Parameter(torch.zeros(self.config.d_sae))

    @property
    def input_centre(self) -> Tensor:
        """What is taken off x before it is encoded, [d_in]: b_dec."""
        return self.b_dec

    def pre_activations(self, x: Tensor) -> Tensor:
        """Return (x - b_dec) W_enc + b_enc, [..., d_sae], for x [..., d_in]."""
        # Not x W_enc + (b_enc - b_dec W_enc): where b_dec is large, the difference of large products loses digits.
        return nn.functional.linear(x - self.input_centre, self.W_enc.T, self.b_enc)

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Return the latents f [..., d_sae] of x [..., d_in]."""

    def decode(self, f: Tensor) -> Tensor:
        """Return the reconstruction [..., d_in] of latents [..., d_sae]."""
        return nn.functional.linear(f, self.W_dec.T, self.b_dec)

    def reconstruct(self, x: Tensor, f: Tensor) -> Tensor:  # noqa: ARG002 - for architectures that let x past the latents
        """Return the reconstruction [..., d_in] from x and its latents f [..., d_sae]."""
        return self.decode(f)

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of x [..., d_in], or of a transcoder's target."""
        return self.reconstruct(x, self.encode(x))

    @abstractmethod
    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:
        """Return the loss of x [B, d_in]; `dead_mask` bool [d_sae] marks the latents that count as dead.

        `sparsity_scale` in [0, 1] multiplies a sparsity penalty while it warms up.
        """

    def paired_loss(
        self,
        x: Tensor,
        target: Tensor,  # noqa: ARG002 - an autoencoder's target is what it reads
        dead_mask: Tensor,
        sparsity_scale: float = 1.0,
    ) -> LossTerms:
        """Return `training_loss`, towards the rows of `target` [B, d_in] for architectures that transcode."""
        return self.training_loss(x, dead_mask, sparsity_scale)

    def training_losses(
        self, parts: Sequence[Tensor], targets: Sequence[Tensor], dead_mask: Tensor, sparsity_scale: float = 1.0
    ) -> Iterator[LossTerms]:
        """Yield the `paired_loss` of each part [b, d_in] of a batch, one graph at a time.

        Weighted by their shares of the tokens they add up to the loss of the whole, and so do their gradients.
        """
        for part, target in zip(parts, targets, strict=True):
            yield self.paired_loss(part, target, dead_mask, sparsity_scale)

    def after_backward(self) -> None:
        """Adjust gradients before the optimizer sees them."""

    def after_step(self) -> None:
        """Restore the constraints of the parameters after an optimizer step."""

    @torch.no_grad()
    def fold_scale(self, scale: float, target_scale: float | None = None) -> None:  # noqa: ARG002 - of transcoders
        """Make this SAE, trained on scale·x, take raw x: its latents stay, its reconstruction is that of raw x.

        `target_scale` is the factor of the target where that is not x.
        f = act((s x - b_dec) W_enc + b_enc) = act((x - b_dec/s) s W_enc + b_enc) and x̂ = (f W_dec + b_dec) / s.
        """
        self.W_enc.mul_(scale)
        self.W_dec.div_(scale)
        self.b_dec.div_(scale)

    @torch.no_grad()
    def fold_decoder_norm(self) -> None:
        """Give every decoder row unit norm and each latent the norm that its row had; x̂ does not change.

        Only for architectures whose activation commutes with a positive scale per latent: ReLU does, and top-k does
        where the rows have equal norms.
        """
        norms = self.W_dec.norm(dim=1).clamp_min(torch.finfo(self.W_dec.dtype).tiny)
        self.W_dec.div_(norms[:, None])
        self.W_enc.mul_(norms)
        self.b_enc.mul_(norms)
