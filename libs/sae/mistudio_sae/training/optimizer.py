"""Adam as each architecture wants it."""

import math

import torch

from mistudio_sae.saes import KEEPS_K, Sae, SaeConfig

_RATE = 3e-3
_REFERENCE_LATENTS = 2048
_EPSILON, _EPSILON_OF_TOP_K = 1e-8, 6.25e-10
_BETAS = (0.9, 0.999)
_WITHOUT_MOMENTUM = (0.0, 0.999)
"""For thresholds, whose gradients are rare and large: Rajamanoharan et al. 2024b, appendix."""


def default_learning_rate(config: SaeConfig) -> float:
    """Return the peak learning rate of an SAE whose configuration and run name none.

    Chosen by sweep at up to 2,048 latents and runs of 10⁵ to 10⁶ tokens; it falls with 1 / √d_sae for wider
    dictionaries, as Gao et al. 2024 found.
    """
    return _RATE * min(1.0, math.sqrt(_REFERENCE_LATENTS / config.d_sae))


def build_adam(sae: Sae) -> torch.optim.Adam:
    """Return a fused Adam over the parameters of `sae`; the learning rate is set at each step."""
    epsilon = _EPSILON_OF_TOP_K if sae.config.architecture in KEEPS_K else _EPSILON
    betas = _WITHOUT_MOMENTUM if sae.config.architecture == "jumprelu" else _BETAS
    return torch.optim.Adam(sae.parameters(), lr=0.0, betas=betas, eps=epsilon, fused=True)
