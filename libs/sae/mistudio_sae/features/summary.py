"""The result of an extraction in brief."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mistudio_sae.features.config import FeatureConfig
from mistudio_sae.features.schema import VERSION
from mistudio_sae.features.subject import Subject

_MOST_INTERESTING = 10


@dataclass(frozen=True)
class FeatureSummary:
    """What `extract_features` did; also the content of `features.json`."""

    version: int
    """Version of the folder's layout."""
    hook_point: str
    """Hook point that the SAE reads."""
    split: str
    """Split of the tokens artifact."""
    tokens: int
    """Tokens that counted."""
    blocks: int
    """Blocks read, from the first of the split."""
    complete: bool
    """False if it was asked to finish before all blocks were read."""
    context_length: int
    """Tokens a block."""
    d_sae: int
    """Latents of the SAE."""
    latents: int
    """Latents extracted."""
    dead: int
    """Latents among them that never fired."""
    most_interesting: list[int]
    """The latents with the highest interestingness, best first."""
    config: dict[str, Any]
    """The `FeatureConfig`."""

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """How far an extraction read."""

    tokens: int
    blocks: int
    complete: bool


def summarize(subject: Subject, config: FeatureConfig, progress: Progress, table: pa.Table) -> FeatureSummary:
    """The summary of a finished statistics table."""
    scores, latents = table.column("interestingness").to_numpy(), table.column("latent").to_numpy()
    ranked = np.lexsort((latents, -scores))[:_MOST_INTERESTING]
    return FeatureSummary(
        version=VERSION,
        hook_point=subject.hook.name,
        split=subject.split,
        tokens=progress.tokens,
        blocks=progress.blocks,
        complete=progress.complete,
        context_length=subject.reader.info.context_length,
        d_sae=subject.sae.config.d_sae,
        latents=len(latents),
        dead=int(table.column("dead").to_numpy().sum()),
        most_interesting=latents[ranked].tolist(),
        config=asdict(config),
    )
