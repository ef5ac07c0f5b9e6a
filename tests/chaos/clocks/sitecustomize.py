"""Makes the wall clock of this process wrong by $CHAOS_CLOCK_SHIFT seconds, before anything else is imported."""

from __future__ import annotations

import datetime as dt
import os
import time

SHIFT = float(os.environ.get("CHAOS_CLOCK_SHIFT") or 0.0)

if SHIFT:
    _time, _time_ns = time.time, time.time_ns
    _Datetime = dt.datetime

    class _Shifted(_Datetime):
        """A datetime whose present is wrong."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> _Shifted:
            return cls.fromtimestamp(_time() + SHIFT, tz)

        @classmethod
        def utcnow(cls) -> _Shifted:
            return cls.now(dt.UTC).replace(tzinfo=None)

    time.time = lambda: _time() + SHIFT
    time.time_ns = lambda: _time_ns() + int(SHIFT * 1e9)
    dt.datetime = _Shifted  # type: ignore[misc]
