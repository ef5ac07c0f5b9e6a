"""The batch top-k SAE."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mistudio_sae.saes.auxiliary import auxiliary_loss
from mistudio_sae.saes.batch_selection import largest_places
from mistudio_sae.saes.loss import LossTerms
from mistudio_sae.saes.unit_norm import UnitNormSae

_MOMENTUM = 0.99


@dataclass(frozen=True)
class Kept:
    """The latents of a batch that are kept: value, token and latent of each, sorted by token."""

    values: Tensor
    """[n], above 0 but for ties at the edge of a batch with fewer positive pre-activations."""
    tokens: Tensor
    """int64 [n], in 0..B-1."""
    latents: Tensor
    """int64 [n], in 0..d_sae-1."""

    def decode(self, weights: Tensor, batch: int, low: int = 0, high: int | None = None) -> Tensor:
        """Return Σ f_i weights[i] of each token, [batch, d], over the kept latents in low..high-1 (None: all)."""
        chosen = slice(None) if high is None else (self.latents >= low) & (self.latents < high)
        values, tokens, latents = self.values[chosen], self.tokens[chosen], self.latents[chosen]
        begins = torch.searchsorted(tokens, torch.arange(batch, device=tokens.device))
        return torch.nn.functional.embedding_bag(
            latents, weights, begins, per_sample_weights=values, mode="sum", include_last_offset=False
        )


class BatchTopKSae(UnitNormSae):
    """Keeps the B·k largest ReLU'd pre-activations of a batch, so tokens may have more or fewer than k.

    z = (x - b_dec) W_enc + b_enc,  f = z where it is among the B·k largest of the batch and above 0, else 0
    L = mean_B [ ‖x - x̂‖² + c_aux ‖e - ê‖² ], as the top-k SAE

    A token alone has no batch: outside of training f = z where z > θ, the running mean of the smallest value that
    each batch has kept. Source: Bussmann et al. 2024, "BatchTopK Sparse Autoencoders".
    """

    threshold: Tensor
    """θ, a scalar; below 0 before the first batch."""

    def _add_encoder_parameters(self) -> None:
        super()._add_encoder_parameters()
        self.register_buffer("threshold", torch.tensor(-1.0))

    def encode(self, x: Tensor) -> Tensor:
        """Return f [..., d_sae] of x [..., d_in] by the threshold."""
        z = self.pre_activations(x)
        return torch.where(z > self.threshold.clamp_min(0), z, 0)

    def training_loss(self, x: Tensor, dead_mask: Tensor, sparsity_scale: float = 1.0) -> LossTerms:  # noqa: ARG002
        """Return the loss of x [B, d_in] and move θ; latents in `dead_mask` [d_sae] get the AuxK loss."""
        z = self.pre_activations(x)
        kept = self._keep(z)
        self._follow(kept.values.detach())
        return self._terms(x, kept, dead_mask)

    def training_losses(
        self,
        parts: Sequence[Tensor],
        targets: Sequence[Tensor],  # noqa: ARG002 - as in `Sae.paired_loss`
        dead_mask: Tensor,
        sparsity_scale: float = 1.0,
    ) -> Iterator[LossTerms]:
        """Yield as `Sae.training_losses` does; what is kept is chosen over the whole batch first, by one more pass."""
        if len(parts) == 1:
            yield self.training_loss(parts[0], dead_mask, sparsity_scale)
            return
        with torch.no_grad():
            flat = (torch.relu(self.pre_activations(part)).flatten() for part in parts)
            values, places = largest_places(flat, sum(map(len, parts)) * (self.config.k or 1))
        self._follow(values)
        for part, chosen in zip(parts, places, strict=True):
            kept = self._kept(torch.relu(self.pre_activations(part)).flatten(), chosen)
            yield self._terms(part, kept, dead_mask)

    def _terms(self, x: Tensor, kept: Kept, dead_mask: Tensor) -> LossTerms:
        reconstruction, error = self._reconstruct(x, kept)
        auxiliary = auxiliary_loss(self, x, error.detach(), dead_mask)
        return LossTerms(
            loss=reconstruction + self.config.aux_coefficient * auxiliary,
            reconstruction=error.detach().square().sum() / len(x),
            sparsity=torch.zeros_like(auxiliary),
            auxiliary=auxiliary.detach(),
            fired=torch.bincount(kept.latents[kept.values.detach() > 0], minlength=self.config.d_sae),
        )

    def _reconstruct(self, x: Tensor, kept: Kept) -> tuple[Tensor, Tensor]:
        """Return what is minimised of the reconstruction, and the error x - x̂ [B, d_in]."""
        error = x - (kept.decode(self.W_dec, len(x)) + self.b_dec)
        return error.square().sum() / len(x), error

    def _keep(self, z: Tensor) -> Kept:
        flat = torch.relu(z).flatten()
        places = flat.detach().topk(len(z) * (self.config.k or 1), sorted=False).indices.sort().values
        return self._kept(flat, places)

    def _kept(self, flat: Tensor, places: Tensor) -> Kept:
        width = self.config.d_sae
        return Kept(flat[places], torch.div(places, width, rounding_mode="floor"), places % width)

    @torch.no_grad()
    def _follow(self, kept: Tensor) -> None:
        positive = kept[kept > 0]
        if len(positive):
            smallest = positive.min()
            self.threshold.copy_(
                torch.where(self.threshold < 0, smallest, self.threshold.lerp(smallest, 1 - _MOMENTUM))
            )

    @torch.no_grad()
    def fold_decoder_norm(self) -> None:
        """Divide the norm that all decoder rows share out of them, and give it to latents and threshold."""
        norm = self.W_dec.norm(dim=1).mean()
        self.W_dec.div_(norm)
        for encoder in (self.W_enc, self.b_enc, self.threshold):
            encoder.mul_(norm)
