"""A call to the mesh as a value: what is sent and how the answer is read. Nothing here waits or does I/O."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeVar, cast

from google.protobuf.message import Message

_Answer = TypeVar("_Answer", bound=Message)
_Result = TypeVar("_Result")
_Method = TypeVar("_Method", bound=Callable[..., object])


@dataclass(frozen=True)
class Call(Generic[_Result]):
    """One unary call."""

    path: str
    """Full path of the rpc, e.g. "/mistudio.v1.JobService/GetJob"."""
    request: Message
    """What is sent."""
    decode: Callable[[bytes], Any]
    """Bytes to answer."""
    read: Callable[[Any], _Result]
    """Answer to what the caller wants of it."""
    repeatable: bool
    """Whether making it twice is as good as once, so that it may be retried."""
    timeout: float | None
    """Seconds that it may take in all; None takes the client's."""


@dataclass(frozen=True)
class Listing(Generic[_Result]):
    """A list that comes in pages: each answer tells the token of the next."""

    first: Call[tuple[Sequence[_Result], str]]
    """The call for the first page, read as items and next token."""

    def after(self, token: str) -> Call[tuple[Sequence[_Result], str]]:
        """Returns the call for the page that `token` names."""
        request: Any = type(self.first.request)()
        request.CopyFrom(self.first.request)
        request.page_token = token
        call = self.first
        return Call(call.path, request, call.decode, call.read, call.repeatable, call.timeout)


def unary(
    method: str,
    request: Message,
    answer: type[_Answer],
    read: Callable[[_Answer], _Result],
    *,
    timeout: float | None,
    repeatable: bool = False,
) -> Call[_Result]:
    """Returns the call of a method given as "Service/Method"."""
    return Call(f"/mistudio.v1.{method}", request, answer.FromString, read, repeatable, timeout)


def request_id_or_new(request_id: str) -> str:
    """Returns the id given, or a random one: a call that carries one is safe to repeat (AIP-155)."""
    return request_id or str(uuid.uuid4())


def like(build: Callable[..., object]) -> Callable[[_Method], _Method]:
    """Returns a decorator that gives a method name, documentation and arguments of what builds its call.

    What it returns is another thing than a `Call`, so that is left out.
    """
    signature = inspect.signature(build).replace(return_annotation=inspect.Signature.empty)

    def decorate(method: _Method) -> _Method:
        wrapped: Any = wraps(build)(method)
        wrapped.__signature__ = signature
        return cast("_Method", wrapped)

    return decorate
