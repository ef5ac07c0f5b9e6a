"""Where metric points go besides to whoever watches the job."""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from mistudio.v1 import MetricPoint

_LONGEST = 100
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class MetricSink(Protocol):
    """Takes every point as it is measured; what it cannot do must never fail or hold up the training."""

    def append(self, point: MetricPoint) -> None:
        """Takes a point, in the order of steps; a resumed attempt gives again what it measures again."""

    def close(self, *, complete: bool) -> None:
        """Ends; `complete` tells that the training is over, else another attempt goes on."""


def run_name(point: MetricPoint) -> str:
    """Returns a name for the SAE of a point that is safe as a folder, e.g. "layer.3.resid_post-topk-2048-k32".

    A name that has to be changed for that ends with its digest, so that two SAEs never share one.
    """
    name = f"{point.labels['hook_point']}-{point.labels['sae']}"
    safe = _UNFIT.sub("_", name).lstrip(".")[:_LONGEST]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
