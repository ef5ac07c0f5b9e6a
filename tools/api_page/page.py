"""The whole page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
from commands import commands
from examples import Error, Example, load_examples
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from tables import fields_table, table, type_name, values_table

from contract import comment, first_sentence, services, shared_types
from mistudio import errors as sdk
from mistudio_runtime import errors

HEAD = Path(__file__).with_name("head.md")


def render() -> str:
    """Returns the page."""
    return "\n\n".join(_parts()) + "\n"


def _parts() -> Iterator[str]:
    examples = load_examples()
    head = HEAD.read_text(encoding="utf-8").strip()
    yield head.replace("<!-- index -->", "\n\n".join(_index(examples))).replace("<!-- catalogue -->", _catalogue())
    for service in services():
        yield f"## {service.name}\n\n{comment(service.full_name)}"
        for method in service.methods:
            yield from _rpc(method, examples[f"{service.name}.{method.name}"])
    yield from _types()


def _index(examples: dict[str, Example]) -> Iterator[str]:
    for service in services():
        rows = [(_link(method), _line(method, examples)) for method in service.methods]
        yield table((f"[{service.name}](#{service.name.lower()})", first_sentence(comment(service.full_name))), rows)


def _link(method: MethodDescriptor) -> str:
    return f"[{method.name}](#{method.containing_service.name.lower()}{method.name.lower()})"


def _line(method: MethodDescriptor, examples: dict[str, Example]) -> str:
    missing = " *Not built yet.*" if examples[f"{method.containing_service.name}.{method.name}"].not_built else ""
    return first_sentence(comment(method.full_name)) + missing


def _rpc(method: MethodDescriptor, example: Example) -> Iterator[str]:
    service: ServiceDescriptor = method.containing_service
    yield f"### {service.name}/{method.name}\n\n{comment(method.full_name)}"
    if example.not_built:
        yield (
            "**Not built yet:** this version answers `UNIMPLEMENTED`, with a sentence that says what to do instead "
            "where there is something."
        )
    yield f"```sh\n{commands(method, example.request)}\n```"
    yield f"Request `{method.input_type.name}`\n\n{fields_table(method.input_type)}"
    answer = "Answers, a stream of" if method.server_streaming else "Answer"
    yield f"{answer} `{method.output_type.name}`\n\n{fields_table(method.output_type)}"
    if example.errors:
        yield "Errors\n\n" + table(("status", "when"), map(_error, example.errors))


def _error(error: Error) -> tuple[str, str]:
    return f"`{error.code}`", error.when


def _catalogue() -> str:
    """Returns the catalogue of errors that clients meet: status, reason, what it means, and the SDK's exception."""
    exceptions = {cls.code: f"`mistudio.{cls.__name__}`" for cls in sdk.MistudioError.__subclasses__()}
    classes: list[type[errors.MeshError]] = errors.MeshError.__subclasses__()
    classes.remove(errors.UnauthenticatedError)  # only workers need a token
    rows = [(f"`{_status(cls)}`", f"`{cls.reason}`", _says(cls), exceptions[_status(cls)]) for cls in classes]
    rows.append(("`INTERNAL`", "", "The mesh failed; its log has the details.", exceptions["INTERNAL"]))
    return table(("status", "`reason` of ErrorInfo", "what it means", "in Python"), rows)


def _status(cls: type[errors.MeshError]) -> str:
    status: grpc.StatusCode = cls.status
    return status.name


def _says(cls: type[errors.MeshError]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _types() -> Iterator[str]:
    messages, enums = shared_types()
    yield "## Messages\n\nWhat requests and answers are made of.\n\n" + " · ".join(map(type_name, messages))
    for message in messages:
        yield f"### {message.name}\n\n{comment(message.full_name)}\n\n{fields_table(message)}"
    yield "## Enums\n\nIn JSON, a value is its name.\n\n" + " · ".join(map(type_name, enums))
    for enum in enums:
        yield f"### {enum.name}\n\n{comment(enum.full_name)}\n\n{values_table(enum)}"
