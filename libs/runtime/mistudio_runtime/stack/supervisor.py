"""Broker, gateway and workers from their start to their orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from mistudio_runtime.broker.binary import BrokerError
from mistudio_runtime.broker.embedded import broker_url
from mistudio_runtime.processes.lock import FileLock, LockHeldError
from mistudio_runtime.processes.spec import ProcessListener, ProcessSpec, ProcessStartError
from mistudio_runtime.processes.supervised import SupervisedProcess
from mistudio_runtime.settings import Settings
from mistudio_runtime.stack.address import AddressError, client_address, fix_address
from mistudio_runtime.stack.attached import wait_until_attached
from mistudio_runtime.stack.console import Console
from mistudio_runtime.stack.health import NotServingError, wait_until_serving
from mistudio_runtime.stack.plan import StackPlan
from mistudio_runtime.stack.record import (
    ProcessRecord,
    StackRecord,
    read_stack,
    remove_record,
    stack_lock_path,
    write_token,
)
from mistudio_runtime.stack.unfinished import unfinished_jobs

GATEWAY_READY_SECONDS = 90.0
LOCK_MARGIN_SECONDS = 5.0
"""Beyond the time that the workers of a killed stack may take, for the lock that they hold to be free."""
GATEWAY_STOP_SECONDS = 10.0


class StackError(Exception):
    """The stack cannot run; the message says why."""


START_ERRORS = (StackError, AddressError, BrokerError, ProcessStartError, NotServingError, OSError)
"""Why a stack may fail to start; each message is meant for the user."""


class Stack(ProcessListener):
    """The processes of one home. `start`, then `stop`; `stop` also undoes a start that was cancelled."""

    def __init__(self, settings: Settings, plan: StackPlan, console: Console) -> None:
        """Takes what is to run and where it is told."""
        self._settings = settings
        self._plan = plan
        self._console = console
        self._cleanup = AsyncExitStack()
        self._gateway: SupervisedProcess | None = None
        self._workers: list[SupervisedProcess] = []
        self._pids: dict[str, int] = {}
        self._lock: FileLock | None = None
        self._record: StackRecord | None = None

    @property
    def _home(self) -> Path:
        return self._settings.home

    @property
    def _worker_grace(self) -> float:
        return self._settings.worker_stop_seconds

    async def start(self) -> Self:
        """Starts everything and returns when the gateway serves and all workers have attached to it.

        Raises one of `START_ERRORS`; then `stop` is to be called.
        """
        self._lock = await self._take_lock()
        listen = fix_address(self._settings.listen)
        address = client_address(listen)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._record = StackRecord(os.getpid(), self._plan.profile, address, "", (), started)
        self._update_record()
        url = await self._cleanup.enter_async_context(broker_url(self._settings, listener=self))
        environment = self._environment(listen, url)
        await self._start_gateway(address, environment)
        await self._start_workers(environment)
        await wait_until_attached(address, self._worker_pids, self._say_missing)
        self._update_record(nats_url=url, ready=True)
        queues = ", ".join(self._plan.queues)
        self._console.say(
            f"ready: gateway {address}, profile {self._plan.profile}, queues {queues}; data in {self._home}"
        )
        return self

    async def stop(self) -> None:
        """Ends workers, then gateway, then broker, so that each can still report to the next."""
        began = datetime.now(UTC)
        await asyncio.gather(*(worker.stop(self._worker_grace) for worker in self._workers))
        await self._tell_unfinished(began)
        if self._gateway is not None:
            await self._gateway.stop(GATEWAY_STOP_SECONDS)
        await self._cleanup.aclose()
        if self._lock is not None:
            self._record = None
            remove_record(self._home)
            self._lock.release()

    def kill(self) -> None:
        """Kills workers and gateway at once; a `stop` that is waiting for them then goes on."""
        for process in [*self._workers, *([self._gateway] if self._gateway else [])]:
            process.kill()

    def line(self, name: str, text: str) -> None:
        """Prints a process's line."""
        self._console.line(name, text)

    def event(self, name: str, text: str) -> None:
        """Prints what happened to a process."""
        self._console.say(f"{name} {text}")

    def started(self, name: str, pid: int) -> None:
        """Keeps the record true."""
        self._pids[name] = pid
        self._update_record()

    async def _tell_unfinished(self, since: datetime) -> None:
        if self._record is None or not self._record.ready:
            return
        left = await unfinished_jobs(self._record.gateway, since)
        if left is None:
            return
        if left:
            self._console.say(left.sentence())
        with contextlib.suppress(OSError):  # a full disk must not keep the stack from stopping
            left.write(self._home, os.getpid())

    def _update_record(self, **changes: Any) -> None:
        if self._record is None:
            return
        # In the order of the plan: workers start side by side, and who is first changes from start to start.
        order = ["broker", "gateway", *(worker.name for worker in self._plan.workers)]
        pids = sorted(self._pids.items(), key=lambda item: order.index(item[0]))
        processes = tuple(ProcessRecord(name, pid, str(self._log(name))) for name, pid in pids)
        self._record = dataclasses.replace(self._record, processes=processes, **changes)
        try:
            self._record.write(self._home)
        except OSError as error:  # a full disk must not end the supervision
            self._console.say(f"the record of what runs cannot be written: {error}")

    async def _take_lock(self) -> FileLock:
        path = stack_lock_path(self._home)
        grace = self._worker_grace + LOCK_MARGIN_SECONDS
        if FileLock.is_held(path) and read_stack(self._home) is None:
            self._console.say(f"waiting up to {grace:g} s for processes of a killed stack to end")
        try:
            return await FileLock.acquire(
                path, within_seconds=grace, give_up=lambda: read_stack(self._home) is not None
            )
        except LockHeldError as error:
            running = read_stack(self._home)
            what = running.summary() if running else f"processes of a killed stack hold {path}"
            raise StackError(f"a stack already runs in {self._home} ({what}); `mistudio down` stops it") from error

    def _environment(self, listen: str, url: str) -> dict[str, str]:
        token = self._settings.token.get_secret_value() or secrets.token_urlsafe(24)
        write_token(self._home, token)
        return {
            "MISTUDIO_HOME": str(self._home),
            "MISTUDIO_NATS_URL": url,
            "MISTUDIO_LISTEN": listen,
            "MISTUDIO_GATEWAY": client_address(listen),
            "MISTUDIO_TOKEN": token,
            "PYTHONUNBUFFERED": "1",
            # The folder that a user happens to stand in must not shadow modules of the services.
            "PYTHONSAFEPATH": "1",
        }

    async def _start_gateway(self, address: str, environment: dict[str, str]) -> None:
        self._gateway = SupervisedProcess(
            self._spec("gateway", self._plan.gateway, environment, GATEWAY_STOP_SECONDS),
            ready=lambda: wait_until_serving(address, GATEWAY_READY_SECONDS),
            listener=self,
        )
        await self._gateway.start()

    async def _start_workers(self, environment: dict[str, str]) -> None:
        for worker in self._plan.workers:
            spec = self._spec(worker.name, worker.command, environment, self._worker_grace)
            self._workers.append(SupervisedProcess(spec, listener=self))
        await asyncio.gather(*(worker.start() for worker in self._workers))

    def _worker_pids(self) -> dict[str, int | None]:
        return {worker.spec.name: worker.pid for worker in self._workers}

    def _say_missing(self, names: list[str]) -> None:
        logs = ", ".join(f"{name} (log: {self._log(name)})" for name in names)
        self._console.say(f"still waiting for {logs}; the other workers take jobs")

    def _spec(self, name: str, command: tuple[str, ...], environment: dict[str, str], grace: float) -> ProcessSpec:
        assert self._lock is not None
        return ProcessSpec(name, command, self._log(name), environment, grace, pass_fds=(self._lock.fd,))

    def _log(self, name: str) -> Path:
        return self._home / "logs" / f"{name}.log"
