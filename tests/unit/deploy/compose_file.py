"""deploy/compose.yaml as the tests read it: anchors resolved, variables replaced by their defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def load(name: str = "compose.yaml") -> dict[str, Any]:
    """Returns a compose file with the defaults of all variables."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    document = yaml.safe_load(_VARIABLE.sub(r"\1", text))
    assert isinstance(document, dict)
    return document


def size_bytes(text: str) -> int:
    """Reads a size as compose does: 6g is 6 GiB."""
    number, unit = re.fullmatch(r"(\d+)([kmg]?)", text).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def duration_seconds(text: str) -> float:
    """Reads a duration in seconds, the only unit in the file."""
    assert text.endswith("s")
    return float(text[:-1])
