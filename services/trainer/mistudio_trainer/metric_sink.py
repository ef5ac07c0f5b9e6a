"""Where metric points go besides to whoever watches the job."""

from __future__ import annotations

import re
from typing import Protocol

from mistudio.v1 import MetricPoint

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class MetricSink(Protocol):
    """Takes every point as it is measured; what it cannot do must never fail or hold up the training."""

    def append(self, point: MetricPoint) -> None:
        """Takes a point, in the order of steps; a resumed attempt gives again what it measures again."""

    def close(self, *, complete: bool) -> None:
        """Ends; `complete` tells that the training is over, else another attempt goes on."""


def run_name(point: MetricPoint) -> str:
    """Returns a name for the SAE of a point that is safe as a folder, e.g. "layer.3.resid_post-topk-2048-k32"."""
    name = f"{point.labels['hook_point']}-{point.labels['sae']}"
    return _UNFIT.sub("_", name).strip(".")[:120] or "sae"
