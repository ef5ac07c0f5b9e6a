"""What everybody trains on: one model folder, and one array of packed tokens. Without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

HELD_OUT_BLOCKS = 64
"""The last blocks, on which all are measured and nobody trains."""


@dataclass(frozen=True)
class Workload:
    """One training task, given to every program as JSON."""

    model: str
    """Folder in the transformers layout."""
    tokens: str
    """`.npy` file, uint16 [blocks, context]; the last HELD_OUT_BLOCKS are held out."""
    layer: int
    """The residual stream behind this layer, from 0, is what SAEs read."""
    d_in: int
    d_sae: int
    k: int
    batch: int
    """Tokens a step."""
    steps: int
    rate: float
    """Adam's peak learning rate; 0 is the library's own default."""
    saes: int = 1
    """SAEs that are trained on the same activations."""
    seed: int = 0
    bf16: bool = False
    """Whether model and products run in bfloat16, by autocast or otherwise."""

    def as_json(self) -> dict[str, Any]:
        """Returns it as a program gets it."""
        return asdict(self)


def read_workload(line: str) -> tuple[str, Workload]:
    """Returns what a program is asked to do, and with what."""
    asked = json.loads(line)
    return asked.pop("do"), Workload(**asked)
