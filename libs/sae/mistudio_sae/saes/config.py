"""What an SAE is before it is trained."""

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

from mistudio_sae.errors import ConfigError

Architecture = Literal[
    "standard", "topk", "gated", "batchtopk", "jumprelu", "matryoshka", "transcoder", "skip_transcoder"
]
KEEPS_K: frozenset[Architecture] = frozenset(("topk", "batchtopk", "matryoshka", "transcoder", "skip_transcoder"))
"""Architectures whose sparsity is set by k and that have an AuxK loss; the others have a penalty."""
TRANSCODES: frozenset[Architecture] = frozenset(("transcoder", "skip_transcoder"))
"""Architectures that reconstruct the output of the MLP whose input they read; the others what they read."""
_NAMES = get_args(Architecture)


@dataclass(frozen=True)
class SaeConfig:
    """Shape, architecture and loss of one SAE; raises ConfigError naming the field that is out of range.

    Coefficients refer to activations scaled to E‖x‖ = √d_in, which is what training feeds.
    """

    architecture: Architecture
    """Name in the registry `mistudio_sae.saes.ARCHITECTURES`."""
    d_in: int
    """Width of the activations; a transcoder's target is as wide."""
    d_sae: int
    """Number of latents."""
    k: int | None = None
    """topk, batchtopk, matryoshka, transcoders: latents kept for each token (of a batch: on the mean)."""
    l1_coefficient: float = 5.0
    """standard, gated: λ of the L1 penalty; with 5, small runs of standard end at an L0 of some 60."""
    l0_coefficient: float = 1.0
    """jumprelu: λ of the L0 penalty, or of the tanh penalty in its place."""
    aux_coefficient: float = 1 / 32
    """topk, batchtopk, matryoshka, transcoders: c_aux, weight of the AuxK loss on dead latents; 0 switches it off."""
    jumprelu_penalty: Literal["l0", "tanh"] = "l0"
    """jumprelu: what is penalised, the number of active latents or a smooth likeness of it."""
    bandwidth: float | None = None
    """jumprelu: ε of the kernel that gives thresholds a gradient; None takes 0.001 √d_in, 0.001 of E‖x‖."""
    initial_threshold: float | None = None
    """jumprelu: where each θ starts; None takes the bandwidth."""
    matryoshka_widths: tuple[int, ...] = ()
    """matryoshka: the prefixes of the dictionary that reconstruct by themselves, rising to d_sae; () takes five."""
    dead_window_tokens: int | None = None
    """A latent is dead when it has not fired for this many tokens; None takes 10 M, or a tenth of a shorter run."""
    decoder_init_norm: float | None = None
    """Norm of each decoder row at the start; None takes 1 (all but standard keep it there) and 0.1 for standard."""
    b_dec_init: Literal["geometric_median", "mean", "zero"] = "geometric_median"
    """Where b_dec starts, over the first activations that the run sees; a transcoder's over its targets."""
    learning_rate: float | None = None
    """Adam's peak learning rate for this SAE (so that a sweep can vary it); None takes the run's."""

    def __post_init__(self) -> None:
        """Check each field, then the fields against each other."""
        self._check_shape()
        self._check_coefficients()
        if self.architecture in KEEPS_K:
            self._check_k()
        if self.architecture == "matryoshka":
            self._check_widths()
        elif self.matryoshka_widths:
            raise ConfigError("matryoshka_widths", f"{self.architecture} has no prefixes; leave them out.")

    def _check_shape(self) -> None:
        if self.architecture not in _NAMES:
            raise ConfigError("architecture", f"{self.architecture!r} is unknown; choose one of {', '.join(_NAMES)}.")
        for field in ("d_in", "d_sae", "dead_window_tokens"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ConfigError(field, "must be at least 1.")

    def _check_coefficients(self) -> None:
        for field in ("l1_coefficient", "l0_coefficient", "aux_coefficient"):
            if not 0 <= getattr(self, field) < float("inf"):
                raise ConfigError(field, "must be finite and not negative.")
        for field in ("decoder_init_norm", "learning_rate", "bandwidth", "initial_threshold"):
            value = getattr(self, field)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(field, "must be finite and above 0.")
        if self.b_dec_init not in ("geometric_median", "mean", "zero"):
            raise ConfigError("b_dec_init", f"{self.b_dec_init!r} is unknown; choose geometric_median, mean or zero.")
        if self.jumprelu_penalty not in ("l0", "tanh"):
            raise ConfigError("jumprelu_penalty", f"{self.jumprelu_penalty!r} is unknown; choose l0 or tanh.")

    def _check_k(self) -> None:
        if self.k is None:
            raise ConfigError("k", f"{self.architecture} needs the number of latents to keep for each token.")
        if not 1 <= self.k <= self.d_sae:
            raise ConfigError("k", f"must be between 1 and d_sae = {self.d_sae}, not {self.k}.")

    def _check_widths(self) -> None:
        widths = self.widths
        if any(low >= high for low, high in itertools.pairwise((0, *widths))) or widths[-1] != self.d_sae:
            raise ConfigError("matryoshka_widths", f"must rise to d_sae = {self.d_sae}, not be {widths}.")

    @property
    def widths(self) -> tuple[int, ...]:
        """matryoshka: the prefixes; by default groups of 1/32, 1/16, 1/8, 1/4 and the rest, as Bussmann et al. take."""
        if self.matryoshka_widths:
            return self.matryoshka_widths
        return tuple(sorted({max(1, self.d_sae * share // 32) for share in (1, 3, 7, 15, 32)}))

    @property
    def sparsity(self) -> str:
        """What decides how many latents are active, e.g. "k=32" or "l1=5"."""
        if self.architecture in KEEPS_K:
            return f"k={self.k}"
        if self.architecture == "jumprelu":
            return f"{self.jumprelu_penalty}={self.l0_coefficient:g}"
        return f"l1={self.l1_coefficient:g}"

    def describe(self) -> str:
        """Return a short name for logs and labels, e.g. "topk 256→2048 k=32"."""
        return f"{self.architecture} {self.d_in}→{self.d_sae} {self.sparsity}"
