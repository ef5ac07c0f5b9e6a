"""The other end of `Program`: answers lines of JSON in one event loop."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvloop

Answers = Mapping[str, Callable[..., Awaitable[dict[str, Any]]]]


def serve(make: Callable[[], Answers]) -> None:
    """Answers questions until the input ends; `make` is called in the event loop."""

    async def run() -> None:
        answers = make()
        while line := await asyncio.to_thread(sys.stdin.readline):
            question = json.loads(line)
            answer = await answers[question.pop("do")](**question)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    uvloop.run(run())
