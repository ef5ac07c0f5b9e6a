"""The workers that are attached to this gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import structlog

from mistudio import v1
from mistudio_gateway.clock_offset import ClockOffset

log = structlog.get_logger(__name__)

OUTBOX_SIZE = 10_000
LINGER_SECONDS = 0.002
"""Where there is much to say, what comes within so long goes together."""
MAX_BATCH = 256
MAX_BATCH_BYTES = 2**20
"""gRPC takes messages of 4 MiB."""


class Session:
    """One worker's stream, seen from the gateway."""

    def __init__(self, status: v1.WorkerStatus) -> None:
        """Takes the worker's status, which its heartbeats change."""
        self.worker = status.worker.name
        self.status = status
        self.clock = ClockOffset()
        self._outbox: list[v1.AttachResponse] = []
        self._news = asyncio.Event()
        self._over = False

    def send(self, message: v1.AttachResponse) -> None:
        """Queues a message; one too many is dropped, for heartbeats and resends repeat what matters."""
        if len(self._outbox) >= OUTBOX_SIZE:
            log.warning("worker does not read its commands", worker=self.worker)
            return
        self._outbox.append(message)
        self._news.set()

    def end(self) -> None:
        """Ends the stream when what is queued has been sent."""
        self._over = True
        self._news.set()

    async def messages(self) -> AsyncIterator[v1.AttachResponse]:
        """Yields what is to be sent, what is ready at the same time as one message."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._outbox:
                count = _fitting(self._outbox)
                ready, self._outbox = self._outbox[:count], self._outbox[count:]
                if len(ready) == 1:
                    yield ready[0]
                    continue
                yield v1.AttachResponse(batch=v1.AttachResponseBatch(responses=ready))
                await asyncio.sleep(LINGER_SECONDS)
            if self._over:
                return


def _fitting(messages: Sequence[v1.AttachResponse]) -> int:
    """Returns how many of the first messages are sent together, at least one."""
    size = 0
    for count, message in enumerate(messages[:MAX_BATCH], start=1):
        size += message.ByteSize()
        if size >= MAX_BATCH_BYTES:
            return count
    return min(len(messages), MAX_BATCH)


class Sessions:
    """Worker name to session."""

    def __init__(self) -> None:
        """Begins empty."""
        self._sessions: dict[str, Session] = {}

    def open(self, status: v1.WorkerStatus) -> Session:
        """Begins a worker's session; an older one of the same name is forgotten."""
        session = self._sessions[status.worker.name] = Session(status)
        return session

    def attached(self) -> list[v1.WorkerStatus]:
        """Returns the workers that are attached here, as they last told."""
        return [session.status for session in self._sessions.values()]

    def close(self, session: Session) -> None:
        """Ends a session, unless a newer one has taken its place."""
        if self._sessions.get(session.worker) is session:
            del self._sessions[session.worker]

    def send(self, worker: str, message: v1.AttachResponse) -> None:
        """Sends to a worker if it is attached here."""
        if session := self._sessions.get(worker):
            session.send(message)
