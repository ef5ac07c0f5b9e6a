"""What every command is given: where the gateway is, and how to print."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console, RenderableType

from mistudio.blocking.client import Client
from mistudio.cli.console import SafeConsole
from mistudio.retries import RetryPolicy

_BEYOND_JSON = re.compile(r"[\x7f-\x9f]")
"""Control characters that JSON need not escape."""
_PIPE_WIDTH = 160
"""Columns where there is no terminal: wide enough that no id is cut."""


def as_json(value: Any) -> Any:
    """Returns protobuf JSON with snake_case names and every field there is, for scripts to rely on."""
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def json_text(document: Any, *, indent: int | None = None) -> str:
    """Returns JSON that a terminal can be shown: every control character is escaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return _BEYOND_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def make_console(*, stderr: bool = False) -> Console:
    """Returns a console as wide as the terminal, or wide enough where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return SafeConsole(file=stream, width=width, highlight=False, markup=False)


@dataclass
class Session:
    """One run of the command."""

    gateway: str
    """Address of the gateway."""
    json: bool = False
    """Print JSON for scripts."""
    console: Console = field(default_factory=make_console)
    """For results."""
    errors: Console = field(default_factory=lambda: make_console(stderr=True))
    """For everything else."""

    @property
    def colour(self) -> bool:
        """Whether colour can carry meaning here; else signs must."""
        return self.console.is_terminal and not self.console.no_color

    def client(self) -> Client:
        """Returns a client; it gives up after three tries, because somebody waits in front of the screen."""
        return Client(self.gateway, retry=RetryPolicy(attempts=3))

    def show(self, document: Any, render: Callable[[], RenderableType]) -> None:
        """Prints a result: a JSON document of the messages given, or what `render` makes of them for people."""
        if self.json:
            click.echo(json_text(as_json(document), indent=2))
        else:
            self.console.print(render())

    def line(self, document: Any) -> None:
        """Prints one line of JSON, for streams."""
        click.echo(json_text(as_json(document)))

    def say(self, sentence: str, style: str = "") -> None:
        """Tells people something; silent where a script reads."""
        if not self.json:
            self.console.print(sentence, style=style or None, soft_wrap=True)
