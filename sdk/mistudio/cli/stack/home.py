"""Where the mesh of this machine keeps its files."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Returns $MISTUDIO_HOME, else $XDG_DATA_HOME/mistudio, else ~/.local/share/mistudio."""
    if chosen := os.environ.get("MISTUDIO_HOME"):
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "mistudio"


def logs_folder() -> Path:
    """Returns where the logs lie."""
    return home() / "logs"


def supervisor_log() -> Path:
    """Returns the log of a detached supervisor."""
    return logs_folder() / "stack.log"
