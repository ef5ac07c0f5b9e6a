"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# Sums may be reordered into vector lanes; NaN and infinity keep their meaning, because divergence is noticed by them.
_SUMS = {"reassoc", "contract", "nsz"}


def compiled(loop: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Compile a loop for the types it meets, without the interpreter's lock, and keep the machine code on disk.

    It is kept beside the source or in the user's cache folder (NUMBA_CACHE_DIR names another), and only in memory
    where neither can be written.
    """
    try:
        return njit(nogil=True, fastmath=_SUMS, cache=True)(loop)
    except RuntimeError:
        return njit(nogil=True, fastmath=_SUMS)(loop)
