"""Where an SAE belongs, and an SAE as it came from disk."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mistudio_sae.saes import Sae, SaeConfig


@dataclass(frozen=True)
class SaeProvenance:
    """What must be known to use an SAE: the place whose activations it reads, and how its text was packed."""

    model_name: str
    """Name or path of the language model."""
    hook_point: str
    """Our name of the hook point, e.g. `layer.3.resid_post`; a foreign name stays as it is."""
    context_size: int | None = None
    """Tokens a context in training; None if the file does not say."""
    prepend_bos: bool | None = None
    """Whether contexts began with BOS; None if the file does not say."""
    dataset: str | None = None
    """Name of the training data."""


@dataclass(frozen=True)
class LoadedSae:
    """An SAE from disk, float32 on the CPU."""

    sae: Sae
    config: SaeConfig
    provenance: SaeProvenance
    sparsity: Tensor | None = None
    """log10 firing frequency per latent, float32 [d_sae], if it was stored."""
