"""What a caller sent, repeated in a sentence."""

from __future__ import annotations

MAX_QUOTED = 100
"""Characters of a value that are repeated: enough to recognise it."""


def quoted(value: str) -> str:
    """Returns the value in quotes, with an ellipsis for what is left out of a long one."""
    return repr(value if len(value) <= MAX_QUOTED else f"{value[:MAX_QUOTED]}…")
