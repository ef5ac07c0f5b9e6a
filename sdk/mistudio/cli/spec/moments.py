"""Points in time as option values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from mistudio.cli.spec.param import Param
from mistudio.cli.spec.values import TimeSpan


class Moment(Param):
    """A time: 2026-01-31, 2026-01-31T12:00, or so long ago: 90m, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Reads the time, local unless it names its zone; ends with a usage error if it is none."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        try:
            ago: datetime = (
                datetime.now(UTC) - TimeSpan().convert(str(value).removesuffix(" ago"), param, ctx).ToTimedelta()
            )
        except (click.BadParameter, OverflowError):
            self.fail(f"{value!r} is no time such as 2026-01-31, 2026-01-31T12:00 or 7d (ago)", param, ctx)
        return ago
