"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

_THOUSAND = 1000


def number(value: float) -> str:
    """Returns 999, 12.5k, 1.5M: three digits that count."""
    for suffix in ("", "k", "M", "G"):
        if abs(value) < 999.5:  # noqa: PLR2004 - what rounds to 1000 belongs to the next suffix
            return f"{value:.3g}{suffix}"
        value /= _THOUSAND
    return f"{value:.3g}T"


def counted(count: int, noun: str) -> str:
    """Returns 1 job, 3 jobs, 2 processes."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"


def size(count: float) -> str:
    """Returns 512 B, 1.5 kB, 3.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:  # noqa: PLR2004 - what rounds to 1000 belongs to the next unit
            return f"{count:.3g} {unit}"
        count /= _THOUSAND
    return f"{count:.3g} TB"


def span(seconds: float) -> str:
    """Returns 0.4s, 59s, 1m 32s, 2h 05m, 3d 4h."""
    if seconds < 9.95:  # noqa: PLR2004 - a tenth matters only below ten seconds
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def seconds_between(start: Timestamp, end: Timestamp) -> float:
    """Returns the seconds from one time to another."""
    return (end.ToNanoseconds() - start.ToNanoseconds()) / 1e9


def ago(time: Timestamp, now: datetime | None = None) -> str:
    """Returns how long ago something was; empty if it never was."""
    if not time.ToNanoseconds():
        return ""
    then = time.ToDatetime(tzinfo=UTC)
    return f"{span(((now or datetime.now(UTC)) - then).total_seconds())} ago"


def ahead(time: Timestamp, now: datetime | None = None) -> str:
    """Returns in how long something will be; empty if it is not known."""
    if not time.ToNanoseconds():
        return ""
    seconds = (time.ToDatetime(tzinfo=UTC) - (now or datetime.now(UTC))).total_seconds()
    return f"in {span(seconds)}" if seconds > 0 else "now"
