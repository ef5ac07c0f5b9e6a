"""Lines of a file in which running jobs tell when something happened, by the clock that all processes share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.jobs.waiting import until

_PERIOD_SECONDS = 0.02


@dataclass(frozen=True)
class Stamps:
    """Reads "what job attempt nanoseconds" lines."""

    file: Path

    def read(self, what: str, attempt: int = 1) -> dict[str, int]:
        """Returns the nanoseconds at which `what` happened in an attempt, by job."""
        lines = [line.split() for line in self.file.read_text().splitlines()] if self.file.exists() else []
        return {job: int(now) for said, job, number, now in lines if said == what and int(number) == attempt}

    async def wait(self, what: str, job: str, seconds: float, attempt: int = 1) -> int:
        """Waits until it has happened; returns its nanoseconds. Raises TimeoutError."""

        async def there() -> bool:
            return job in self.read(what, attempt)

        await until(there, seconds, f"{what} of {job}", period=_PERIOD_SECONDS)
        return self.read(what, attempt)[job]
