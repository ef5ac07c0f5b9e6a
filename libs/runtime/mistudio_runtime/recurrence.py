"""When something happens again and again: a cron expression, or a length of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

EVERY = "@every "
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=366)
_FORM = 'write six cron fields with seconds first, such as "0 30 3 * * *", or "@every 6h"'
_FIELDS = 6
_FIELD = re.compile(r"(?:[0-9*,/?-]|[A-Za-z]{3}|[Ll])+")
"""Numbers, names of three letters, the last day of a month: croniter knows more, such as random times."""
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(h|m|s)")
_UNITS = {"h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True)
class Recurrence:
    """The times of "@every 6h" are that far apart; those of a cron expression are times of the day in a zone."""

    every: str
    time_zone: str = ""
    """An IANA name such as Europe/Berlin; empty is UTC. Only for a cron expression."""

    def check(self) -> None:
        """Raises ValueError with one sentence if it has no meaning or no next time."""
        if self.period is not None:
            _check_period(self.period, self.time_zone)
            return
        fields = self.every.split()
        if len(fields) != _FIELDS or not all(_FIELD.fullmatch(field) for field in fields):
            raise ValueError(f"{self.every!r} is no schedule: {_FORM}")
        self._zone  # noqa: B018 - raises if there is no such zone
        try:
            self.after(datetime.now(UTC))
        except CroniterError as error:
            raise ValueError(f"{self.every!r} is no schedule ({error}): {_FORM}") from error

    @cached_property
    def period(self) -> timedelta | None:
        """How far its times are apart, if that is how they are given. Raises ValueError."""
        if not self.every.startswith(EVERY):
            return None
        text = self.every.removeprefix(EVERY)
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ValueError(f'{self.every!r} is no length of time: write it as "@every 1h30m"')
        return timedelta(**_sums(parts))

    def after(self, moment: datetime, last: datetime | None = None) -> datetime:
        """Returns the first time after `moment`, in UTC; those of "@every" are counted from the `last` one."""
        if self.period is None:
            local = croniter(self.every, moment.astimezone(self._zone), second_at_beginning=True)
            return local.get_next(datetime).astimezone(UTC)
        start = last or moment
        periods = max(0, (moment - start) // self.period) + 1
        return start + periods * self.period

    @cached_property
    def _zone(self) -> tzinfo:
        try:
            return ZoneInfo(self.time_zone) if self.time_zone else UTC
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {self.time_zone!r}: name one such as Europe/Berlin") from None


def _sums(parts: list[tuple[str, str]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for number, unit in parts:
        sums[_UNITS[unit]] = sums.get(_UNITS[unit], 0.0) + float(number)
    return sums


def _check_period(period: timedelta, time_zone: str) -> None:
    if not SHORTEST <= period <= LONGEST:
        raise ValueError('a length of time is "@every 1s" at least, and 366 days at most')
    if time_zone:
        raise ValueError('a time zone goes with a cron expression only, not with "@every"')
