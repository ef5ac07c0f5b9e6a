"""Breaks things as the plan says, and says what it broke."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable

import nats.errors
import nats.js.errors
import psutil
from nats.js import JetStreamContext

from chaos.member import Member
from chaos.plan import KILLS, Fault, Plan, chosen
from chaos.topology import Topology
from mistudio_runtime.broker import names
from mistudio_runtime.queues import load_queues

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 3.0
"""How long a fault waits for something to hit."""
_COPIES = 3


class Faults:
    """Carries out faults; `kills` counts processes that really got SIGKILL."""

    def __init__(self, topology: Topology, js: JetStreamContext, say: Callable[[str], None]) -> None:
        """Takes what to break, a connection to the broker past all proxies, and where to tell."""
        self.kills = 0
        self.done: collections.Counter[str] = collections.Counter()
        self._topology = topology
        self._js = js
        self._say = say
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, plan: Plan, began: float) -> None:
        """Breaks everything of the plan, each at its moment; returns when all is mended."""
        for fault in plan.faults:
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            task = asyncio.create_task(self._do(fault, began))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await asyncio.gather(*self._under_way)

    async def _do(self, fault: Fault, began: float) -> None:
        act: Callable[[Fault], Awaitable[str]] = getattr(self, f"_{fault.kind}")
        what = await act(fault)
        self.done[fault.kind if what else f"{fault.kind} (nothing there)"] += 1
        self.kills += fault.kind in KILLS and bool(what)
        self._say(f"{time.monotonic() - began:7.2f} s  {fault.kind:<16} {what or 'nothing there'}")

    async def _kill_child(self, fault: Fault) -> str:
        return await self._kill_process(fault, lambda worker: worker.children())

    async def _kill_forkserver(self, fault: Fault) -> str:
        return await self._kill_process(fault, lambda worker: worker.forkservers())

    async def _kill_process(self, fault: Fault, of: Callable[[Member], list[psutil.Process]]) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            processes = [(worker, process) for worker in self._topology.workers for process in of(worker)]
            if processes:
                worker, process = processes[chosen(processes, fault.choice)]
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    return f"{process.pid} of {worker.name}"
            await asyncio.sleep(_LOOK_SECONDS)
        return ""

    async def _kill_worker(self, fault: Fault) -> str:
        return await self._kill_member(self._topology.workers, fault)

    async def _kill_gateway(self, fault: Fault) -> str:
        return await self._kill_member(self._topology.gateways, fault)

    async def _kill_member(self, members: list[Member], fault: Fault) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            there = [member for member in members if member.pid is not None]
            if there:
                member = there[chosen(there, fault.choice)]
                member.away_seconds = fault.seconds
                pid = member.pid
                if member.signal(signal.SIGKILL):
                    return f"{member.name} ({pid}), away {fault.seconds:.1f} s"
            await asyncio.sleep(_LOOK_SECONDS)
        return ""

    async def _kill_broker(self, fault: Fault) -> str:
        async with self._topology.broker_lock:
            server = self._topology.server
            pid = server.pid
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(server.start)
        return f"nats-server ({pid}), away {fault.seconds:.1f} s"

    async def _freeze_broker(self, fault: Fault) -> str:
        async with self._topology.broker_lock:
            self._topology.server.freeze()
            await asyncio.sleep(fault.seconds)
            self._topology.server.thaw()
        return f"nats-server, {fault.seconds:.1f} s"

    async def _freeze_worker(self, fault: Fault) -> str:
        return await self._freeze(self._topology.workers, fault)

    async def _freeze_gateway(self, fault: Fault) -> str:
        return await self._freeze(self._topology.gateways, fault)

    async def _freeze(self, members: list[Member], fault: Fault) -> str:
        there = [member for member in members if member.pid is not None]
        if not there:
            return ""
        member = there[chosen(there, fault.choice)]
        pid = member.pid or 0
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        if member.pid == pid:
            os.kill(pid, signal.SIGCONT)
        return f"{member.name} ({pid}), {fault.seconds:.1f} s"

    async def _cut(self, fault: Fault) -> str:
        proxies = self._topology.links[fault.link]
        proxy = proxies[chosen(proxies, fault.choice)]
        proxy.cut()
        await asyncio.sleep(fault.seconds)
        proxy.heal()
        return f"{proxy.name}, {fault.seconds:.1f} s"

    async def _blackhole(self, fault: Fault) -> str:
        proxies = self._topology.links[fault.link]
        proxy = proxies[chosen(proxies, fault.choice)]
        proxy.blackhole()
        await asyncio.sleep(3 * fault.seconds)
        proxy.heal()
        return f"{proxy.name}, {3 * fault.seconds:.1f} s"

    async def _slow(self, fault: Fault) -> str:
        proxies = self._topology.links[fault.link]
        proxy = proxies[chosen(proxies, fault.choice)]
        proxy.slow_down(0.05 + 0.3 * fault.choice)
        await asyncio.sleep(3 * fault.seconds)
        proxy.heal()
        return f"{proxy.name}, {0.05 + 0.3 * fault.choice:.2f} s late for {3 * fault.seconds:.1f} s"

    async def _double(self, fault: Fault) -> str:
        """Stores copies of a job's message: with its headers, without any, and of an earlier time in its queue."""
        try:
            state = (await self._js.stream_info(names.JOBS_STREAM)).state
            first = state.first_seq + int(fault.choice * (state.last_seq - state.first_seq))
            message = await self._js.get_msg(names.JOBS_STREAM, first, subject=names.ALL_JOBS, next=True)
            kept = {name: value for name, value in (message.headers or {}).items() if name == names.ENQUEUE_COUNT}
            old = {names.ENQUEUE_COUNT: str(int(kept.get(names.ENQUEUE_COUNT, "1")) - 1)}
            for headers in (kept, None, old)[: 1 + int(_COPIES * fault.choice)]:
                await self._js.publish(message.subject or "", message.data or b"", headers=headers)
        except (nats.errors.Error, nats.js.errors.Error):
            return ""
        return message.subject or ""

    async def _garbage(self, fault: Fault) -> str:
        """Stores what no gateway would: bytes, headers and job ids of a stranger."""
        draw = random.Random(fault.choice)
        queue = draw.choice([queue for queue in load_queues(None).queues if queue.service in ("trainer", "curator")])
        job_id = draw.choice(["job-unknown", "nothing", "-", "x" * 200, "job-" + "0" * 26])
        headers = draw.choice([None, {names.ENQUEUE_COUNT: "many"}, {names.ENQUEUE_COUNT: "9" * 40}, {"Strange": "é"}])
        subject = names.job_subject(queue.name, draw.randint(1, 10), job_id)
        try:
            await self._js.publish(subject, draw.randbytes(draw.randint(0, 5000)), headers=headers)
        except (nats.errors.Error, nats.js.errors.Error):
            return ""
        return subject[:60]
