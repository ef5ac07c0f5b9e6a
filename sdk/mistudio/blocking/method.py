"""Turns the pure functions of `mistudio.calls` into methods that wait for the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar

from mistudio.blocking.transport import Transport
from mistudio.calls.call import Call, Listing, like

_P = ParamSpec("_P")
_Read = TypeVar("_Read")
_Result = TypeVar("_Result")


class Noun:
    """A group of methods on one kind of thing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport


class Blocking(Generic[_P, _Read, _Result]):
    """A method with the arguments of `build`, whose answer `wrap` makes into what the caller gets."""

    def __init__(self, build: Callable[_P, Call[_Read]], wrap: Callable[[Transport, _Read], _Result]) -> None:
        self._build = build
        self._wrap = wrap
        self.__doc__ = build.__doc__

    def __get__(self, noun: Noun | None, owner: type[Noun]) -> Callable[_P, _Result]:
        """Returns the method bound to its transport; on the class, one that only serves for reading about it."""
        transport: Any = None if noun is None else noun._transport  # noqa: SLF001 - the two are one thing

        @like(self._build)
        def method(*args: _P.args, **kwargs: _P.kwargs) -> _Result:
            return self._wrap(transport, transport.call(self._build(*args, **kwargs)))

        return method


class Paged(Generic[_P, _Read, _Result]):
    """A method that iterates over a list, page after page."""

    def __init__(self, build: Callable[_P, Listing[_Read]], wrap: Callable[[Transport, _Read], _Result]) -> None:
        self._build = build
        self._wrap = wrap
        self.__doc__ = build.__doc__

    def __get__(self, noun: Noun | None, owner: type[Noun]) -> Callable[_P, Iterator[_Result]]:
        """Returns the method bound to its transport; on the class, one that only serves for reading about it."""
        transport: Any = None if noun is None else noun._transport  # noqa: SLF001 - the two are one thing

        @like(self._build)
        def method(*args: _P.args, **kwargs: _P.kwargs) -> Iterator[_Result]:
            return (self._wrap(transport, item) for item in transport.pages(self._build(*args, **kwargs)))

        return method


def as_is(_: Transport, answer: _Read) -> _Read:
    """Returns the answer itself."""
    return answer
