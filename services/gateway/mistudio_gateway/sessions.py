"""The workers that are attached to this gateway."""

from __future__ import annotations

import asyncio

import structlog

from mistudio import v1
from mistudio_gateway.clock_offset import ClockOffset

log = structlog.get_logger(__name__)

OUTBOX_SIZE = 10_000


class Session:
    """One worker's stream, seen from the gateway."""

    def __init__(self, status: v1.WorkerStatus) -> None:
        """Takes the worker's status, which its heartbeats change."""
        self.worker = status.worker.name
        self.status = status
        self.clock = ClockOffset()
        self.outbox: asyncio.Queue[v1.AttachResponse] = asyncio.Queue(OUTBOX_SIZE)

    def send(self, message: v1.AttachResponse) -> None:
        """Queues a message; one too many is dropped, for heartbeats and resends repeat what matters."""
        try:
            self.outbox.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("worker does not read its commands", worker=self.worker)


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
