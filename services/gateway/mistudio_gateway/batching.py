"""Appends to a stream that come together are stored together, with one sync to disk."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nats.aio.client import Client
from nats.errors import ConnectionReconnectingError
from nats.js.errors import APIError

MAX_MESSAGES = 500
MAX_BYTES = 4 * 2**20
"""Of one batch: the broker holds it in memory until it is complete."""
LINGER_SECONDS = 0.001
ANSWER_SECONDS = 5.0
_ID, _SEQUENCE, _COMMIT = "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"


@dataclass(frozen=True)
class _Append:
    """A message, and who waits for its sequence."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]
    sequence: asyncio.Future[int]


class BatchedStream:
    """One stream, which allows atomic batches (ADR-50). Messages are stored in the order of the calls of `append`.

    While one batch is being synced the next one gathers, so a batch is as large as the load makes it.
    """

    def __init__(self, client: Client, *, gather_seconds: float = 0.0) -> None:
        """Takes the connection, and for how long the first of a batch may wait for others.

        The subjects tell the broker which stream is meant.
        """
        self._client = client
        self._gather_seconds = gather_seconds
        self._gathered: list[_Append] = []
        self._storing: asyncio.Task[None] | None = None
        self._ids = (f"{secrets.token_hex(8)}.{number}" for number in itertools.count())

    async def append(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Stores a message; returns its sequence, or that of the one which has its deduplication id already.

        Raises nats.js.errors.APIError if the broker refuses it, and nats.errors.TimeoutError or NoRespondersError if
        no answer came: then it may be stored all the same.
        """
        sequence: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._gathered.append(_Append(subject, payload, headers or {}, sequence))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_all())
        return await sequence

    async def _store_all(self) -> None:
        try:
            while self._gathered:
                if self._gather_seconds:
                    await asyncio.sleep(self._gather_seconds)
                batch = self._next_batch()
                await self._store(batch)
                if len(batch) > 1 and not self._gather_seconds:
                    await asyncio.sleep(LINGER_SECONDS)  # there are many: let the next batch grow
        finally:
            self._storing = None

    def _next_batch(self) -> list[_Append]:
        count = room = 0
        for append in self._gathered[:MAX_MESSAGES]:
            room += len(append.payload)
            if count and room > MAX_BYTES:
                break
            count += 1
        batch, self._gathered = self._gathered[:count], self._gathered[count:]
        return batch

    async def _store(self, batch: Sequence[_Append]) -> None:
        if len(batch) > 1 and await self._store_together(batch):
            return
        await asyncio.gather(*(self._store_alone(append) for append in batch))

    async def _store_together(self, batch: Sequence[_Append]) -> bool:
        """Returns False if the broker refused the batch because of one of its messages: then it stored none."""
        batch_id = next(self._ids)
        try:
            await self._send([_command(append, batch_id, n) for n, append in enumerate(batch[:-1], start=1)])
            last = batch[-1]
            headers = {_ID: batch_id, _SEQUENCE: str(len(batch)), _COMMIT: "1", **last.headers}
            sequence = await self._ask(last, headers)
        except APIError:
            return False
        except Exception as error:  # noqa: BLE001 - each waiter decides what the failure means to it
            for append in batch:
                _fail(append, error)
            return True
        first = sequence - len(batch) + 1
        for number, append in enumerate(batch):
            _tell(append, first + number)
        return True

    async def _send(self, commands: list[bytes]) -> None:
        if not self._client.is_connected:
            raise ConnectionReconnectingError
        # The client has no call for several messages at once, and spends as much time on each as the rest of this does.
        await self._client._send_command(b"".join(commands))  # noqa: SLF001

    async def _store_alone(self, append: _Append) -> None:
        try:
            _tell(append, await self._ask(append, append.headers))
        except Exception as error:  # noqa: BLE001 - as above
            _fail(append, error)

    async def _ask(self, append: _Append, headers: Mapping[str, str]) -> int:
        given = dict(headers) or None
        message = await self._client.request(append.subject, append.payload, timeout=ANSWER_SECONDS, headers=given)
        answer = json.loads(message.data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        return int(answer["seq"])


def _command(append: _Append, batch_id: str, number: int) -> bytes:
    """Returns a message of a batch, as the protocol writes it: HPUB <subject> <bytes of headers> <bytes in all>."""
    own = "".join(f"{name}: {value}\r\n" for name, value in append.headers.items())
    headers = f"NATS/1.0\r\n{_ID}: {batch_id}\r\n{_SEQUENCE}: {number}\r\n{own}\r\n".encode()
    sizes = f"{len(headers)} {len(headers) + len(append.payload)}"
    return b"".join((f"HPUB {append.subject} {sizes}\r\n".encode(), headers, append.payload, b"\r\n"))


def _tell(append: _Append, sequence: int) -> None:
    if not append.sequence.done():  # its caller may have been cancelled
        append.sequence.set_result(sequence)


def _fail(append: _Append, error: Exception) -> None:
    if not append.sequence.done():
        append.sequence.set_exception(error)
