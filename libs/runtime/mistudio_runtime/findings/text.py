"""Numbers, sizes, times and lists as a finding says them."""

from __future__ import annotations

from collections.abc import Sequence

_KIBI = 1024.0
_LISTED = 3


def size(count: float) -> str:
    """Returns 512 B, 1.5 KiB, 932 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000:  # noqa: PLR2004 - three digits
            return f"{count:.3g} {unit}"
        count /= _KIBI
    return f"{count:.3g} TiB"


def span(seconds: float) -> str:
    """Returns 3 s, 4 min, 5 h, 6 days."""
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if abs(seconds) < limit:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def counted(number: int, one: str, several: str = "") -> str:
    """Returns "1 job", "2 jobs"."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Returns "a", "a and b", "a, b and c", "a, b, c and 4 more"."""
    names = list(names)
    if len(names) > _LISTED + 1:
        names = [*names[:_LISTED], f"{len(names) - _LISTED} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
