"""Types of option values: what the user writes to what a field holds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio.cli.spec.param import Param
from mistudio.references import ref

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SCALES = {"k": 10**3, "M": 10**6, "G": 10**9}


class WholeNumber(Param):
    """A whole number: 1500000, 1_500_000, 200k, 1.5M."""

    name = "number"

    def __init__(self, *, signed: bool = False) -> None:
        self._signed = signed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads the number; ends with a usage error if it is none, or negative where that makes no sense."""
        text = str(value)
        try:
            scale = _SCALES.get(text[-1:], 1)
            number = round(float(text[:-1]) * scale) if scale > 1 else int(text)
        except ValueError:
            self.fail(f"{text!r} is no whole number such as 4096, 1_500_000, 200k or 1.5M", param, ctx)
        if number < 0 and not self._signed:
            self.fail(f"{text} is negative", param, ctx)
        return number


class TimeSpan(Param):
    """A length of time: 90s, 2h, 1h30m, 7d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Duration:
        """Reads the length; ends with a usage error if it is none."""
        if isinstance(value, Duration):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", str(value))
        if not parts or "".join(number + unit for number, unit in parts) != str(value):
            self.fail(f"{value!r} is no length of time such as 90s, 2h, 1h30m or 7d", param, ctx)
        span = Duration()
        span.FromTimedelta(timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts)))
        return span


class Reference(Param):
    """An artifact (sae-…) or the output of a job (job-…, or job-…:1 for its second)."""

    name = "ref"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> v1.ArtifactRef:
        """Reads the reference; ends with a usage error if the output's number is none."""
        if isinstance(value, v1.ArtifactRef):
            return value
        name, _, output = str(value).partition(":")
        if output and not output.isdecimal():
            self.fail(f"{output!r} in {value!r} is no number of an output", param, ctx)
        if name.startswith("job-"):
            return ref(name, output=int(output or 0))
        return v1.ArtifactRef(artifact_id=name)  # outside a pipeline there are no steps to name


class Pair(Param):
    """A pair key=value."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Reads the pair; ends with a usage error if there is no "=" or nothing before it."""
        if isinstance(value, tuple):
            return value
        key, equals, rest = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is no key=value", param, ctx)
        return key, rest


class ShortName(Param):
    """A value of an enum by its short name: SAE_ARCHITECTURE_TOPK is topk."""

    name = "choice"

    def __init__(self, enum: EnumDescriptor) -> None:
        prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
        self.numbers = {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002 - click's
        """Returns all names, for the help."""
        return "|".join(self.numbers)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads the name; ends with a usage error that lists the names if it is none of them."""
        if isinstance(value, int):
            return value
        number = self.numbers.get(str(value).lower())
        if number is None:
            self.fail(f"{value!r} is none of {', '.join(self.numbers)}", param, ctx)
        return number
