"""Paths that a request names, kept inside the folders that the operator allows."""

from collections.abc import Sequence
from pathlib import Path


class PathNotAllowedError(ValueError):
    """A path leads outside the allowed roots."""

    failure_reason = "PATH_NOT_ALLOWED"


def resolve_allowed(path: str, roots: Sequence[Path]) -> Path:
    """Returns the absolute path with symbolic links followed.

    Raises PathNotAllowedError if it then lies outside every root, or leads nowhere. It need not exist.
    """
    try:
        resolved = Path(path).expanduser().resolve()
    except RuntimeError as error:  # a home that nobody has, or links that lead in a circle
        raise PathNotAllowedError(f"{path} leads nowhere: {error}") from error
    if not any(resolved.is_relative_to(root.resolve()) for root in roots):
        listed = ", ".join(str(root) for root in roots)
        raise PathNotAllowedError(f"{path} is outside the allowed folders ({listed}); set MISTUDIO_ALLOWED_ROOTS")
    return resolved
