"""The embedded broker: a nats-server of this home's own, as a supervised child process."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from mistudio_runtime.broker.binary import BrokerError, find_nats_server
from mistudio_runtime.broker.discovery import (
    announce_broker,
    broker_owner,
    discover_broker,
    lock_path,
    retract_broker,
    wait_for_broker,
)
from mistudio_runtime.broker.identity import BrokerIdentity
from mistudio_runtime.broker.refusal import RefusalWatch
from mistudio_runtime.processes.lock import FileLock, LockHeldError
from mistudio_runtime.processes.logged import LoggedEvents
from mistudio_runtime.processes.spec import Backoff, ProcessListener, ProcessSpec, ProcessStartError
from mistudio_runtime.processes.supervised import SupervisedProcess
from mistudio_runtime.settings import Settings

NAME = "broker"
READY_SECONDS = 60.0
"""A large store takes a while to be read."""
STOP_SECONDS = 15.0
_ORPHAN_SECONDS = 10.0
_LISTENING = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")


class BrokerInUseError(BrokerError):
    """Another process owns this home's broker."""


class EmbeddedBroker(ProcessListener):
    """A JetStream server on the loopback interface whose store lies under the home.

    It is started again when it dies, on the same port and store, and ends when its owner does, even by kill -9.
    """

    def __init__(self, home: Path, *, listener: ProcessListener | None = None) -> None:
        """Takes the home and who hears of the server's lines and restarts (default: the log, of restarts)."""
        self._home = home
        self._folder = home / "broker"
        self._listener = listener or LoggedEvents()
        self._ready = asyncio.Event()
        self._port = 0
        self._identity: BrokerIdentity | None = None
        self._lock: FileLock | None = None
        self._process: SupervisedProcess | None = None
        self._refusal = RefusalWatch(self._folder, self._restart)

    @property
    def url(self) -> str:
        """Where clients connect, password included; valid after `start` and over restarts of the server."""
        assert self._identity is not None
        return self._identity.url

    @property
    def pid(self) -> int | None:
        """Process id of the server."""
        return self._process.pid if self._process else None

    async def start(self) -> Self:
        """Starts the server and returns when it is ready for clients.

        Raises BrokerInUseError if another process owns the home's broker, BrokerError if it cannot be started.
        """
        binary = find_nats_server()
        self._lock = await self._take_lock()
        running = False
        try:
            await self._start_server(binary)
            running = True
        except ProcessStartError as error:
            raise BrokerError(str(error)) from error
        finally:
            if not running:
                await self.stop()
        return self

    async def stop(self) -> None:
        """Ends the server, which writes what it holds, and frees the home for another owner."""
        await self._refusal.stop()
        if self._process is not None:
            await self._process.stop(STOP_SECONDS)
        if self._lock is not None:
            retract_broker(self._home)
            self._lock.release()
            self._lock = None

    def kill(self) -> None:
        """Kills the server at once; `stop` is still to be called."""
        if self._process is not None:
            self._process.kill()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def line(self, name: str, text: str) -> None:
        """Watches for readiness, and for writes that fail."""
        self._refusal.line(text)
        if found := _LISTENING.search(text):
            self._port = int(found[1])
        if "Server is ready" in text:
            self._ready.set()
        self._listener.line(name, text)

    def event(self, name: str, text: str) -> None:
        """Passes on that the server ended or is started again."""
        self._listener.event(name, text)

    def started(self, name: str, pid: int) -> None:
        """Passes on the server's process id."""
        self._refusal.started()
        self._listener.started(name, pid)

    def _restart(self) -> None:
        self._listener.event(NAME, "stores nothing more since a write failed; it is started again, now there is room")
        if self._process is not None:
            self._process.restart()

    async def _take_lock(self) -> FileLock:
        try:
            # Without a living owner it is the guard of a killed one that holds the lock until its server has ended.
            lock = await FileLock.acquire(
                lock_path(self._home),
                within_seconds=_ORPHAN_SECONDS + STOP_SECONDS,
                give_up=lambda: broker_owner(self._home) is not None,
            )
        except LockHeldError as error:
            owner = broker_owner(self._home)
            who = f"process {owner} owns" if owner else "a process of a killed owner still uses"
            raise BrokerInUseError(
                f"{who} the broker in {self._folder}; stop it or set another MISTUDIO_HOME"
            ) from error
        announce_broker(self._home, None, os.getpid())
        return lock

    async def _start_server(self, binary: Path) -> None:
        identity = BrokerIdentity.load(self._folder)
        identity.save(self._folder)
        self._process = SupervisedProcess(
            self._spec(binary), ready=self._until_ready, backoff=Backoff(first_seconds=0.1), listener=self
        )
        await self._process.start()
        # From now on the port is fixed: the server finds it in its configuration when it is started again.
        self._identity = dataclasses.replace(identity, port=self._port)
        self._identity.save(self._folder)
        announce_broker(self._home, self._identity.url, os.getpid())

    def _spec(self, binary: Path) -> ProcessSpec:
        assert self._lock is not None
        return ProcessSpec(
            name=NAME,
            argv=(str(binary), "-c", str(self._folder / "nats.conf")),
            log=self._home / "logs" / f"{NAME}.log",
            orphan_grace_seconds=_ORPHAN_SECONDS,
            pass_fds=(self._lock.fd,),
        )

    async def _until_ready(self) -> None:
        try:
            await asyncio.wait_for(self._ready.wait(), READY_SECONDS)
        except TimeoutError as error:
            raise BrokerError(f"the broker was not ready within {READY_SECONDS:g} s; see its log") from error


@asynccontextmanager
async def broker_url(settings: Settings, *, listener: ProcessListener | None = None) -> AsyncIterator[str]:
    """Gives the URL of the broker that the settings mean, and runs an embedded one if there is none.

    MISTUDIO_NATS_URL wins; then the broker that another process of this home runs; then one of our own, which ends
    with the context. Raises BrokerError.
    """
    if url := settings.nats_url or discover_broker(settings.home):
        yield url
        return
    broker = EmbeddedBroker(settings.home, listener=listener)
    try:
        await broker.start()
    except BrokerInUseError:
        # Another process was faster; it announces its broker when that is ready.
        yield await wait_for_broker(settings.home, READY_SECONDS)
        return
    try:
        yield broker.url
    finally:
        await broker.stop()
