"""What every scenario needs: a mesh, clients, a look past all gateways, and the audit at the end."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from typing import Self

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client as Broker
from nats.js import JetStreamContext

from chaos.audit_artifacts import audit_artifacts
from chaos.audit_events import audit_events
from chaos.audit_jobs import ENDED, audit_jobs
from chaos.audit_leaks import audit_broker, audit_files, audit_processes
from chaos.client import Client
from chaos.findings import Findings
from chaos.plan import Request
from chaos.report import Report
from chaos.stored import Stored, read_ledger, read_stored
from chaos.topology import Topology
from chaos.traffic import Traffic
from mistudio import v1
from mistudio_runtime.broker import names

START_SECONDS = 120.0
SETTLE_SECONDS = 120.0
TIDY_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_FEW = 1000

Say = Callable[[str], None]


class Stage:
    """A running mesh. `audited` ends it and says what came of it."""

    def __init__(self, topology: Topology, seed: int, say: Say) -> None:
        """Takes the mesh, which is not started yet."""
        self.topology = topology
        self.say = say
        self.findings = Findings()
        self._seed = seed
        self._stack = contextlib.AsyncExitStack()
        self._began = time.monotonic()
        self._broker: Broker | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        await self._stack.enter_async_context(self.topology)
        self.client = Client(self.topology.addresses())
        self._stack.push_async_callback(self.client.close)
        self.traffic = Traffic(self.client, f"seed-{self._seed}")
        await asyncio.wait_for(self.answers(), START_SECONDS)
        self.js = await self._connect()
        self.tell("the mesh is up")

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def answers(self) -> None:
        """Waits until a gateway answers."""
        await self.client.call("ListJobs", v1.ListJobsRequest())

    def tell(self, what: str) -> None:
        """Says something with the time."""
        self.say(f"{time.monotonic() - self._began:7.2f} s  {what}")

    async def drive(self, requests: Sequence[Request]) -> None:
        """Carries out requests, each at its moment; returns when every client has what it wants."""
        began = time.monotonic()

        async def later(request: Request) -> None:
            await asyncio.sleep(max(0.0, began + request.at - time.monotonic()))
            await self.traffic.run(request)

        last = max((request.at for request in requests), default=0.0)
        try:
            async with asyncio.timeout(last + SETTLE_SECONDS):
                await asyncio.gather(*map(later, requests))
        except TimeoutError:
            self.findings.lost.append(f"clients still wait {SETTLE_SECONDS:.0f} s after the last request")

    async def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Waits until every promised job is over and the queues are empty, or for so long."""
        wanted = set(self.traffic.promised)
        deadline = time.monotonic() + seconds
        open_jobs, left = len(wanted), 0
        while time.monotonic() < deadline:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
                jobs = await read_ledger(self.js)
                open_jobs = sum(job_id in jobs and jobs[job_id].state not in ENDED for job_id in wanted)
                left = (await self.js.stream_info(names.JOBS_STREAM)).state.messages
                if not open_jobs and not left:
                    self.tell(f"all {len(wanted)} promised jobs are over")
                    return
            await asyncio.sleep(_LOOK_SECONDS if open_jobs < _FEW else 5 * _LOOK_SECONDS)
        self.tell(f"after {seconds:.0f} s {open_jobs} jobs are not over and {left} messages are left")

    async def audited(self, kills: int) -> Report:
        """Tidies up, ends every process, and audits what is left."""
        await self._tidy()
        self.findings.other += [f"{line} did not end in order" for line in await self.topology.stop_members()]
        stored = await read_stored(self.js)
        await self._stack.aclose()
        self._audit(stored)
        self.tell(f"audited; clients saw {dict(self.client.codes)}")
        return Report(self._seed, kills, len(stored.jobs), self.findings)

    def _audit(self, stored: Stored) -> None:
        home, promised, findings = self.topology.home, self.traffic.promised, self.findings
        audit_jobs(stored, promised, home, findings)
        audit_events(stored, promised, findings)
        audit_artifacts(self.topology.artifacts, stored.jobs, findings)
        audit_broker(stored, findings)
        audit_files(home, self.topology.artifacts, self.topology.temporary, findings)
        shutil.rmtree(self.topology.temporary, ignore_errors=True)
        audit_processes(home, findings)
        findings.other += [f"a client was answered {answer}" for answer in self.client.strange]
        findings.other += self.traffic.refused
        exits = collections.Counter(f"{who.name}: {code}" for who in self.topology.members for code in who.exits)
        findings.notes += [f"ended by itself, {number} times, with code {what}" for what, number in exits.items()]

    async def _tidy(self) -> None:
        """Lets the curator collect what killed jobs have left, as its schedule would."""
        codes = await asyncio.gather(*(worker.stop() for worker in self.topology.workers))
        # A poison job whose attempt was given up may reach its worker as late as now.
        self.findings.other += [f"a worker ended with {code}" for code in codes if code not in (0, -signal.SIGKILL)]
        await self.topology.add_worker("mistudio_curator")
        spec = v1.CollectGarbage()
        spec.min_age.FromSeconds(0)
        request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=spec))
        submit = v1.SubmitJobRequest(job=request, request_id="tidy")
        job_id = (await self.client.call("SubmitJob", submit)).job.id
        deadline = time.monotonic() + TIDY_SECONDS
        while (job := await self.client.get(job_id)).state not in ENDED:
            if time.monotonic() > deadline:
                self.findings.lost.append(f"{job_id} (collect_garbage) does not end: {job.diagnosis}")
                return
            await asyncio.sleep(_LOOK_SECONDS)
        self.tell(f"garbage is collected: {v1.JobState.Name(job.state)} {job.failure.message}")

    async def _connect(self) -> JetStreamContext:
        broker = await nats.connect(
            self.topology.broker_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_ignore
        )
        self._stack.push_async_callback(_close, broker)
        return broker.jetstream(timeout=10)


async def _close(broker: Broker) -> None:
    with contextlib.suppress(OSError):
        await broker.close()


async def _ignore(_: Exception) -> None:
    """The broker is killed on purpose."""
