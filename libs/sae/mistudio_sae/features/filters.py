"""Which features a list contains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class FeatureFilter:
    """Conditions that must all hold; None does not ask. Ranges include their ends."""

    dead: bool | None = None
    min_density: float | None = None
    max_density: float | None = None
    min_max_activation: float | None = None
    max_max_activation: float | None = None
    min_interestingness: float | None = None
    latents: frozenset[int] | None = None

    def mask(self, scalars: pa.Table) -> npt.NDArray[np.bool_]:
        """True for the rows that pass, given the scalar columns of `statistics.parquet`."""
        passes = np.ones(scalars.num_rows, dtype=np.bool_)
        if self.dead is not None:
            passes &= scalars.column("dead").to_numpy() == self.dead
        if self.latents is not None:
            passes &= np.isin(scalars.column("latent").to_numpy(), list(self.latents))
        for name, low, high in self._ranges():
            column = scalars.column(name).to_numpy()
            passes &= column >= (-np.inf if low is None else low)
            passes &= column <= (np.inf if high is None else high)
        return passes

    def _ranges(self) -> tuple[tuple[str, float | None, float | None], ...]:
        return (
            ("density", self.min_density, self.max_density),
            ("max_activation", self.min_max_activation, self.max_max_activation),
            ("interestingness", self.min_interestingness, None),
        )
