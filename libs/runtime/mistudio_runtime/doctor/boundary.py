"""What keeps a check that crashes from taking the other checks with it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mistudio_runtime.findings import Finding, problem


@contextmanager
def boundary(check: str, found: list[Finding]) -> Iterator[None]:
    """Makes a finding of whatever is raised in the block. Only its type is told: its text may hold a secret."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - one check, one finding
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        sentence = f"This could not be looked at, because the check fails ({type(error).__name__} at {where})."
        found.append(problem(check, sentence, "python -m mistudio_runtime.doctor"))
