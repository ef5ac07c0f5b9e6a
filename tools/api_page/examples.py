"""What a caller might send to each rpc, and what may go wrong."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from contract import services

FILE = Path(__file__).with_name("examples.toml")


@dataclass(frozen=True)
class Error:
    """One status that an rpc may answer with."""

    code: str
    """Name of the status."""
    when: str
    """What the caller did."""
    request: str = ""
    """A request that is answered so, if there is a simple one."""


@dataclass(frozen=True)
class Example:
    """One rpc's request, as JSON, and its errors."""

    request: str
    errors: tuple[Error, ...]
    not_built: bool = False
    """Whether this version answers UNIMPLEMENTED."""


def load_examples() -> dict[str, Example]:
    """Reads the file: "Service.Rpc" to its example. Raises ValueError unless every public rpc has exactly one."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    found = {f"{service}.{rpc}": _example(row) for service, rpcs in data.items() for rpc, row in rpcs.items()}
    public = {f"{service.name}.{method.name}" for service in services() for method in service.methods}
    if wrong := sorted(public ^ found.keys()):
        raise ValueError(f"{FILE.name} and the protos differ in: {', '.join(wrong)}")
    return found


def _example(row: dict[str, object]) -> Example:
    errors = row["errors"]
    assert isinstance(errors, list)
    return Example(
        request=str(row["request"]).strip(),
        errors=tuple(Error(**error) for error in errors),
        not_built=bool(row.get("not_built")),
    )
