"""click's base of option types, under one name for old and new versions of click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    Param = click.ParamType[Any]  # generic for type checkers since click 8.4; never at run time on older ones
else:
    Param = click.ParamType
