"""What a stream holds after a position, read page by page."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from mistudio_gateway.broker_errors import broker_answers
from mistudio_runtime.errors import UnavailableError

_ANSWER_SECONDS = 5.0
_LAST_SEQUENCE = 2**64 - 1
_NOT_FOUND = 404
_NO_MESSAGE, _END_OF_BATCH, _NO_RESPONDERS = "404", "204", "503"
_OWN_HEADERS = ("Nats-Subject", "Nats-Sequence")


class Stored(NamedTuple):
    """A message of a stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes


class Page(NamedTuple):
    """Messages in their order."""

    messages: list[Stored]
    more: bool
    """Whether there are more behind them."""

    @property
    def last(self) -> int:
        """The position of the last message, 0 if there is none."""
        return self.messages[-1].sequence if self.messages else 0


class StreamPages:
    """Reads by batched direct gets, which nats-py has no call for: one request a page. Any server answers."""

    def __init__(self, client: Client, stream: str, subjects: str) -> None:
        """Takes the stream, which allows direct gets, and a filter of subjects."""
        self._client = client
        self._stream = stream
        self._subjects = subjects

    async def after(self, sequence: int, count: int, max_bytes: int = 0) -> Page:
        """Returns at most `count` messages after a position. Raises UnavailableError."""
        request: dict[str, object] = {
            "seq": min(sequence + 1, _LAST_SEQUENCE),
            "next_by_subj": self._subjects,
            "batch": count,
        }
        if max_bytes:
            request["max_bytes"] = max_bytes
        inbox = self._client.new_inbox()
        heard: asyncio.Queue[Msg] = asyncio.Queue()
        with broker_answers():
            answers = await self._client.subscribe(inbox, cb=heard.put)
            try:
                subject = f"$JS.API.DIRECT.GET.{self._stream}"
                await self._client.publish(subject, json.dumps(request).encode(), reply=inbox)
                return await _page(heard)
            finally:
                await answers.unsubscribe()

    async def last(self, subject: str) -> Stored | None:
        """Returns the last message of a subject, as the stream's leader has it. Raises UnavailableError."""
        request = json.dumps({"last_by_subj": subject}).encode()
        with broker_answers():
            answer = await self._client.request(
                f"$JS.API.STREAM.MSG.GET.{self._stream}", request, timeout=_ANSWER_SECONDS
            )
        found = json.loads(answer.data)
        if "error" in found:
            if found["error"]["code"] == _NOT_FOUND:
                return None
            raise UnavailableError("the message broker cannot be read now; try again in a moment")
        message = found["message"]
        return Stored(
            int(message["seq"]),
            message["subject"],
            _headers(base64.b64decode(message.get("hdrs", ""))),
            base64.b64decode(message.get("data", "")),
        )


async def _page(heard: asyncio.Queue[Msg]) -> Page:
    messages: list[Stored] = []
    while True:
        try:
            # The client's own way to wait may lose the cancellation of a watcher that has gone away.
            async with asyncio.timeout(_ANSWER_SECONDS):
                message = await heard.get()
        except TimeoutError as error:
            raise nats.errors.TimeoutError from error
        headers = message.headers or {}
        if _ends(headers.get("Status")):
            return Page(messages, headers.get("Nats-Num-Pending", "0") != "0")
        messages.append(_stored(message, headers))


def _headers(block: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in block.decode().split("\r\n")[1:] if line)
    return {name: value.strip() for name, _, value in lines}


def _ends(status: str | None) -> bool:
    if status == _NO_RESPONDERS:
        raise nats.errors.NoRespondersError
    return status in (_NO_MESSAGE, _END_OF_BATCH)


def _stored(message: Msg, headers: dict[str, str]) -> Stored:
    own = {name: value for name, value in headers.items() if name not in _OWN_HEADERS}
    return Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], own, message.data)
