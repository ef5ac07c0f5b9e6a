"""The histogram of how often latents fire, beside the SAE as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

DENSITY_NAME = "density.json"
EDGES = tuple(-7.0 + step / 4 for step in range(29))
"""Quarter decades of log10 density from 1e-7 to 1, those of the evaluation."""
_NEVER = -9.5
"""Latents that never fired stand at -10."""


@dataclass(frozen=True)
class Density:
    """Latents by the share of tokens on which they fire, over the last tenth to fifth of the training."""

    log10_edges: tuple[float, ...]
    """Edges of the bins; the first and the last bin are open."""
    counts: tuple[int, ...]
    """Latents in each bin, without those that never fired."""
    never_fired: int
    """Latents that never fired."""

    @classmethod
    def of(cls, log10_frequency: npt.NDArray[np.float32]) -> Density:
        """Counts log10 firing frequencies [d_sae]."""
        fired = log10_frequency[log10_frequency > _NEVER]
        bins = np.searchsorted(EDGES[1:-1], fired, side="right")
        counts = np.bincount(bins, minlength=len(EDGES) - 1)
        return cls(EDGES, tuple(counts.tolist()), len(log10_frequency) - len(fired))

    def write(self, path: Path) -> None:
        """Writes it as a JSON object with these fields."""
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
