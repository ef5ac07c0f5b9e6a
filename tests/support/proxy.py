"""A TCP proxy whose link can be cut, frozen and slowed, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

_CHUNK = 65536


class TcpProxy:
    """Listens on a port of its own and passes bytes to a target, as well as its link allows at the moment."""

    def __init__(self, name: str, host: str, port: int) -> None:
        """Takes a name for reports, and where the bytes go."""
        self.name = name
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._delay = 0.0

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> Self:
        """Begins to listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Ends all connections and the listening."""
        assert self._server is not None
        self._server.close()
        self.heal()
        self._abort_all()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Resets every connection; new ones are reset too, until `heal`."""
        self._refuses = True
        self._abort_all()

    def blackhole(self) -> None:
        """Passes nothing on, in neither direction, though connections stay open, until `heal`."""
        self._flows.clear()

    def slow_down(self, seconds: float) -> None:
        """Makes each piece of data late by so much, until `heal`."""
        self._delay = seconds

    def heal(self) -> None:
        """Passes everything on again, what was held back first."""
        self._refuses, self._delay = False, 0.0
        self._flows.set()

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._refuses:
                await self._connect(reader, writer)
        except OSError:
            pass  # whoever listens behind is away: its client sees a reset
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(*self._target)
        self._writers.add(their_writer)
        pumps = [asyncio.create_task(self._pump(*way)) for way in ((reader, their_writer), (their_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers.discard(their_writer)
            their_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
