"""The mesh under test: a broker, gateways and workers as processes, and a proxy on every link between them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from chaos.member import Member
from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.broker.embedded import EmbeddedBroker
from support.broker import NatsServer
from support.mesh import MODEL, TOKENS, free_port
from support.proxy import TcpProxy

TESTS = Path(__file__).resolve().parent.parent
CLOCKS = TESTS / "chaos" / "clocks"
UNSYNCED = "max_payload: 8388608\n"
SYNCED = UNSYNCED + "jetstream {\n  sync_interval: always\n}\n"
"""As the embedded broker is configured."""
ACK_WAIT_SECONDS = 2.0
GRACE_SECONDS = 3.0
_SLOTS = 3


class Topology:
    """Everything that runs. A context: leaving it ends every process and every proxy."""

    def __init__(
        self,
        home: Path,
        *,
        gateways: int = 2,
        workers: int = 2,
        clock_shifts: Iterable[float] = (),
        broker: str | None = SYNCED,
        artifacts: Path | None = None,
    ) -> None:
        """Takes an empty folder, how many of each, and by how many seconds the workers' clocks are wrong.

        `broker` is its configuration; without one it is an embedded broker, which mends itself.
        """
        self.home = home
        self.artifacts = artifacts or home / "artifacts"
        self._server = None if broker is None else NatsServer(_made(home / "broker"), config=broker)
        self._embedded = EmbeddedBroker(home) if broker is None else None
        self.gateways: list[Member] = []
        self.workers: list[Member] = []
        self.links: dict[str, list[TcpProxy]] = {}
        self.broker_lock = asyncio.Lock()
        """Held by whoever has the broker away."""
        self.temporary = Path(tempfile.mkdtemp(prefix="chaos-"))
        """Where processes keep temporary files; a short path, as sockets lie there."""
        self._counts = (gateways, workers)
        self._shifts = list(clock_shifts)
        self._ports = [free_port() for _ in range(gateways)]
        self._log = _made(home / "processes")

    @property
    def server(self) -> NatsServer:
        """The broker, unless it is an embedded one."""
        assert self._server is not None
        return self._server

    @property
    def broker_url(self) -> str:
        """Where the broker is, past all proxies."""
        return self._embedded.url if self._embedded is not None else self.server.url

    @property
    def members(self) -> list[Member]:
        """All processes but the broker."""
        return [*self.gateways, *self.workers]

    def addresses(self) -> list[str]:
        """Returns where clients find the gateways, through the proxies."""
        return [proxy.address for proxy in self.links["client-gateway"]]

    async def __aenter__(self) -> Self:
        _put_inputs(self.artifacts)
        if self._embedded is not None:
            await self._embedded.start()
        else:
            _sync(self.home / "broker" / "test.conf")  # an administrator's file survives a power failure
            await asyncio.to_thread(self.server.start)
        gateways, workers = self._counts
        for number in range(gateways):
            await self._add_gateway(number)
        for _ in range(workers):
            await self.add_worker()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_members()
        if self._embedded is not None:
            await self._embedded.stop()
        else:
            await asyncio.to_thread(self.server.stop)
        for proxy in [proxy for proxies in self.links.values() for proxy in proxies]:
            await proxy.stop()

    def heal(self) -> None:
        """Ends every fault of a link."""
        for proxy in [proxy for proxies in self.links.values() for proxy in proxies]:
            proxy.heal()

    async def kill_members(self) -> None:
        """Kills all processes but the broker, and keeps them away."""
        await asyncio.gather(*(member.halt() for member in self.members))

    def start_members(self) -> None:
        """Ends `kill_members`."""
        for member in self.members:
            member.start()

    async def stop_members(self) -> list[str]:
        """Ends all processes but the broker, workers first; returns those that did not end in order."""
        bad = []
        for members in (self.workers, self.gateways):
            codes = await asyncio.gather(*(member.stop() for member in members))
            bad += [
                f"{member.name}: {code}"
                for member, code in zip(members, codes, strict=True)
                if code not in (0, -signal.SIGKILL)
            ]
        return bad

    async def add_worker(self, module: str = "chaos.worker", *, slots: int = _SLOTS) -> Member:
        """Starts a worker with links of its own."""
        number = len(self.workers)
        gateways = [await self._link("worker-gateway", "127.0.0.1", port) for port in self._ports]
        if number % 2:
            gateways.reverse()  # who asks first is not the same gateway for all
        member = Member(
            f"worker-{number}",
            ["-m", module, *_options(module, slots)],
            self._environment(
                **await self._broker_of("worker-broker"),
                MISTUDIO_GATEWAY="ipv4:" + ",".join(proxy.address for proxy in gateways),
                CHAOS_CLOCK_SHIFT=str(self._shifts[number] if number < len(self._shifts) else 0.0),
            ),
            self._log / f"worker-{number}.log",
        )
        member.start()
        self.workers.append(member)
        return member

    async def _add_gateway(self, number: int) -> None:
        await self._link("client-gateway", "127.0.0.1", self._ports[number])
        environment = self._environment(
            **await self._broker_of("gateway-broker"),
            MISTUDIO_LISTEN=f"127.0.0.1:{self._ports[number]}",
        )
        log = self._log / f"gateway-{number}.log"
        member = Member(f"gateway-{number}", ["-m", "mistudio_gateway"], environment, log)
        member.start()
        self.gateways.append(member)

    async def _broker_of(self, link: str) -> dict[str, str]:
        if self._server is None:
            return {}  # it is found by its home
        return {"MISTUDIO_NATS_URL": f"nats://{(await self._link(link, '127.0.0.1', self._server.port)).address}"}

    async def _link(self, name: str, host: str, port: int) -> TcpProxy:
        proxy = await TcpProxy(f"{name} {len(self.links.get(name, []))}", host, port).start()
        self.links.setdefault(name, []).append(proxy)
        return proxy

    def _environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MISTUDIO_", "COVERAGE_"))}
        return kept | {
            "MISTUDIO_HOME": str(self.home),
            "MISTUDIO_STORE_URL": self.artifacts.as_uri(),
            "MISTUDIO_ACK_WAIT_SECONDS": str(ACK_WAIT_SECONDS),
            "MISTUDIO_STOP_GRACE_SECONDS": str(GRACE_SECONDS),
            "MISTUDIO_ALLOWED_ROOTS": f'["{self.home}"]',
            "MISTUDIO_LOG_FORMAT": "json",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(CLOCKS), str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "TMPDIR": str(self.temporary),
            **changes,
        }


def count_spec(steps: int, manner: str = "count") -> v1.JobSpec:
    """Returns a train_sae that counts, in a manner of chaos.jobs."""
    spec = v1.TrainSae(
        model=v1.ArtifactRef(artifact_id=MODEL),
        tokens=v1.ArtifactRef(artifact_id=TOKENS),
        hook_points=[manner],
        saes=[v1.SaeSpec(d_sae=8, k=2)],
        total_tokens=steps,
        batch_tokens=1,
    )
    return v1.JobSpec(train_sae=spec)


def quick_spec() -> v1.JobSpec:
    """Returns a job that ends at once, inline."""
    return v1.JobSpec(collect_garbage=v1.CollectGarbage(dry_run=True))


def _options(module: str, slots: int) -> tuple[str, ...]:
    ours = module == "chaos.worker"
    return ("--slots", f"low_priority={slots}", "--slots", "training=2") if ours else ()


def _made(folder: Path) -> Path:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
    return folder


def _sync(file: Path) -> None:
    with file.open() as stream:
        os.fsync(stream.fileno())


def _put_inputs(artifacts: Path) -> None:
    store = ArtifactStore(artifacts)
    for kind, summary in (("model", {"n_layers": 4, "context_length": 64}), ("tokens", {})):
        with store.draft(kind, job_id="job-given", attempt=1) as draft:
            draft.summary = dict(summary)
            draft.commit()
