"""What an SAE is before it is trained."""

from dataclasses import dataclass
from typing import Literal

from mistudio_sae.errors import ConfigError

Architecture = Literal["standard", "topk"]


@dataclass(frozen=True)
class SaeConfig:
    """Shape, architecture and loss of one SAE; raises ConfigError naming the field that is out of range.

    Coefficients refer to activations scaled to E‖x‖ = √d_in, which is what training feeds.
    """

    architecture: Architecture
    """Name in the registry `mistudio_sae.saes.ARCHITECTURES`."""
    d_in: int
    """Width of the activations."""
    d_sae: int
    """Number of latents."""
    k: int | None = None
    """topk: latents kept for each token."""
    l1_coefficient: float = 5.0
    """standard: λ of the decoder-norm weighted L1 penalty; with 5, small runs end at an L0 of some 60."""
    aux_coefficient: float = 1 / 32
    """topk: c_aux, the weight of the AuxK loss on dead latents; 0 switches it off."""
    dead_window_tokens: int | None = None
    """A latent is dead when it has not fired for this many tokens; None takes 10 M, or a tenth of a shorter run."""
    decoder_init_norm: float | None = None
    """Norm of each decoder row at the start; None takes 1 for topk (which keeps it there) and 0.1 for standard."""
    b_dec_init: Literal["geometric_median", "mean", "zero"] = "geometric_median"
    """Where b_dec starts, over the first activations that the run sees."""
    learning_rate: float | None = None
    """Adam's peak learning rate for this SAE (so that a sweep can vary it); None takes the run's."""

    def __post_init__(self) -> None:
        """Check each field, then the fields against each other."""
        self._check_shape()
        self._check_coefficients()
        if self.architecture == "topk":
            self._check_k()

    def _check_shape(self) -> None:
        if self.architecture not in ("standard", "topk"):
            raise ConfigError("architecture", f"{self.architecture!r} is unknown; choose standard or topk.")
        for field in ("d_in", "d_sae", "dead_window_tokens"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ConfigError(field, "must be at least 1.")

    def _check_coefficients(self) -> None:
        for field in ("l1_coefficient", "aux_coefficient"):
            if not 0 <= getattr(self, field) < float("inf"):
                raise ConfigError(field, "must be finite and not negative.")
        for field in ("decoder_init_norm", "learning_rate"):
            value = getattr(self, field)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(field, "must be finite and above 0.")
        if self.b_dec_init not in ("geometric_median", "mean", "zero"):
            raise ConfigError("b_dec_init", f"{self.b_dec_init!r} is unknown; choose geometric_median, mean or zero.")

    def _check_k(self) -> None:
        if self.k is None:
            raise ConfigError("k", "topk needs the number of latents to keep for each token.")
        if not 1 <= self.k <= self.d_sae:
            raise ConfigError("k", f"must be between 1 and d_sae = {self.d_sae}, not {self.k}.")

    def describe(self) -> str:
        """Return a short name for logs and labels, e.g. "topk 256→2048 k=32"."""
        own = f"k={self.k}" if self.architecture == "topk" else f"l1={self.l1_coefficient:g}"
        return f"{self.architecture} {self.d_in}→{self.d_sae} {own}"
