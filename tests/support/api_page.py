"""The commands of docs/api.md, and what tools/api_page says of each rpc."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from mistudio import v1
from support.pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "api.md")
ADDRESS = "localhost:50051"


@dataclass(frozen=True)
class Command:
    """One command line of the page that calls an rpc."""

    words: tuple[str, ...]
    rpc: str
    """"package.Service/Rpc"."""
    data: str
    """The request as JSON; empty if none is given."""


def buf_commands() -> dict[str, Command]:
    """Returns the `buf curl` lines that call an rpc, by rpc."""
    found = [_buf(words) for words in _lines("buf") if "--list-methods" not in words]
    return {command.rpc: command for command in found}


def grpcurl_commands() -> dict[str, Command]:
    """Returns the `grpcurl` lines that call an rpc, by rpc."""
    found = [_grpcurl(words) for words in _lines("grpcurl") if words[-1] != "list"]
    return {command.rpc: command for command in found}


def public_methods() -> dict[str, MethodDescriptor]:
    """Returns the rpcs of every service of the contract but the internal one, by "package.Service/Rpc"."""
    modules = [getattr(v1, name) for name in dir(v1) if name.endswith("_service_pb2")]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    methods = [method for service in services if service.name != "WorkerSessionService" for method in service.methods]
    return {f"{method.containing_service.full_name}/{method.name}": method for method in methods}


def examples() -> dict[str, dict[str, Any]]:
    """Returns what the tool's data say of each rpc, by "package.Service/Rpc"."""
    data = tomllib.loads((ROOT / "tools" / "api_page" / "examples.toml").read_text(encoding="utf-8"))
    return {f"mistudio.v1.{service}/{rpc}": row for service, rpcs in data.items() for rpc, row in rpcs.items()}


def documents(text: str) -> list[str]:
    """Returns the JSON documents that a text consists of."""
    decoder, found, place = json.JSONDecoder(), [], 0
    while text[place:].strip():
        place += len(text[place:]) - len(text[place:].lstrip())
        _, end = decoder.raw_decode(text, place)
        found.append(text[place:end])
        place = end
    return found


def _lines(program: str) -> Iterator[tuple[str, ...]]:
    for line in PAGE.typed():
        words = shlex.split(line)
        if words[0] == program:
            yield tuple(words)


def _buf(words: tuple[str, ...]) -> Command:
    assert words[:4] == ("buf", "curl", "--protocol", "grpc")
    return Command(words, words[-1].removeprefix(f"http://{ADDRESS}/"), _data(words))


def _grpcurl(words: tuple[str, ...]) -> Command:
    assert (words[1], words[-2]) == ("-plaintext", ADDRESS)
    return Command(words, words[-1], _data(words))


def _data(words: tuple[str, ...]) -> str:
    return words[words.index("-d") + 1] if "-d" in words else ""
