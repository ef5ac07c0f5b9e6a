"""Keeps the hub's libraries from talking to a terminal that is not there."""

from __future__ import annotations

import os

from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.tqdm import disable_progress_bars
from transformers.utils import logging as transformers_logging


def quiet_libraries() -> None:
    """Turns off progress bars, telemetry and chatter; what goes wrong still comes as an exception."""
    # A service that forks sets it to false itself; nothing here does, so threads are safe.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    disable_progress_bars()
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the hub's client leaves it untyped
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
