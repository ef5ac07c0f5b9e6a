"""What the contract says about its own fields: the single source of help texts."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def _comments() -> dict[str, str]:
    loaded: dict[str, str] = json.loads(files("mistudio.v1").joinpath("comments.json").read_text(encoding="utf-8"))
    return loaded


def comment(full_name: str) -> str:
    """Returns the comment of a message, field or enum value, e.g. "mistudio.v1.TrainSae.seed"; empty if unknown."""
    return _comments().get(full_name, "")
