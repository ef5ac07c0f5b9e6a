"""When memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mistudio_sae.errors import OutOfMemoryError

_SIGNS = ("can't allocate memory", "not enough memory", "Cannot allocate memory", "bad_alloc", "STATUS_ALLOC_FAILED")
"""What torch says of it in an error that is a RuntimeError and no more, by system and library."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Raise OutOfMemoryError with `advice`, a whole sentence, where memory runs out inside."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(advice) from error
        raise
