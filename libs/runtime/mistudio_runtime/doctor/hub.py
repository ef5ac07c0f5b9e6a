"""What the hub's client finds here: its cache, and its variables without their values."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mistudio_runtime.findings import Finding, fine
from mistudio_runtime.findings.disk import judge_disk
from mistudio_runtime.findings.text import listed
from mistudio_runtime.host.disks import MODEL_CACHE, disk, model_cache

CHECK = "hub"
VARIABLES = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE")


def check_model_cache() -> Finding:
    """Judges the cache's disk."""
    return judge_disk(MODEL_CACHE, disk(MODEL_CACHE, model_cache()))


def check_hub(environment: Mapping[str, str] = os.environ) -> Finding:
    """Tells which variables are set, which the ingest service reads when it starts."""
    given = [name for name in VARIABLES if environment.get(name)]
    missing = [name for name in VARIABLES if not environment.get(name)]
    parts = [
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} {how}"
        for names, how in ((given, "set"), (missing, "not set"))
        if names
    ]
    return fine(CHECK, f"{', '.join(parts)}.")
