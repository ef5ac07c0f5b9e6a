"""What a job says, as the mesh can carry it."""

MAX_CHARACTERS = 2_000


def carried(text: str) -> str:
    """Returns text that fits into a record many times, and that is valid UTF-8, as the name of a file need not be."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return valid if len(valid) <= MAX_CHARACTERS else f"{valid[: MAX_CHARACTERS - 1]}…"
