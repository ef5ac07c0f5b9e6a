"""What brings dead latents of top-k SAEs back."""

from torch import Tensor

from mistudio_sae.kernels import decode, encode_top
from mistudio_sae.saes.unit_norm import UnitNormSae


def auxiliary_loss(sae: UnitNormSae, x: Tensor, error: Tensor, dead_mask: Tensor) -> Tensor:
    """Return AuxK: ‖e - ê‖², a mean over tokens, for x and the error e of its reconstruction, both [B, d_in].

    ê = ReLU(TopK_kaux(z over dead latents)) W_dec, kaux = min(d_in / 2, number of dead latents). It has no b_dec: x̂ in
    e already holds it. 0 where nothing is dead. Source: Gao et al. 2024, A.2.
    """
    dead = dead_mask.nonzero().squeeze(1)
    if len(dead) == 0 or sae.config.aux_coefficient == 0:
        return x.new_zeros(())
    k = min(sae.config.d_in // 2 or 1, len(dead))
    codes = encode_top(x, sae.input_centre, sae.W_enc, sae.b_enc, k, among=dead, bf16=sae.bf16_operands)
    return (error - decode(codes, sae.W_dec)).square().sum() / len(error)
