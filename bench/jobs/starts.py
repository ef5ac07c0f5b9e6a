"""From a submit to the first line of the job's code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.figures import Figure, Target, percentile
from bench.jobs.mesh import BenchMesh, running_mesh
from bench.jobs.peer.celery import PREFORK, THREADS, Celery, Pool, running_celery
from bench.jobs.setting import Setting
from bench.program import Program

_SECONDS = 120.0
_WARM_UP = 5
_BLOCKS = 4
_PAUSE_SECONDS = 0.05
_LOW_SECONDS = 0.01
_LOW_SLOTS = 4
_PRIORITY = Target(10.0, at_least=False)
_P99_FACTOR = 2

_FOUR_THREADS = ("--pool", "threads", "--concurrency", str(_LOW_SLOTS))
_TWO_QUEUES = Pool("two_queues", _FOUR_THREADS, 1, "high,low", {"queue_order_strategy": "sorted"})
_PRIORITIES = Pool("priorities", _FOUR_THREADS, 1, transport={"queue_order_strategy": "priority"})
_SENT_TO = {"two_queues": ("high", "low", None, None), "priorities": ("celery", "celery", 0, 9)}
"""Where each pool's overtaking and other tasks go: their queues, then their priorities (0 is first on Redis)."""


async def measure_idle(setting: Setting) -> list[Figure]:
    """One job at a time on a mesh that does nothing else, in blocks of ours and the peer's in turn."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(running_mesh(setting))
        await mesh.start_worker(_LOW_SLOTS)
        client = await stack.enter_async_context(await Program.start("bench.jobs.client", mesh.address))
        pools = [PREFORK, THREADS] if setting.peer else []
        peers = await stack.enter_async_context(running_celery(setting, *pools))
        await our_starts(mesh, client, _WARM_UP)
        ours: list[float] = []
        theirs: dict[str, list[float]] = {celery.pool.name: [] for celery in peers}
        for _ in range(_BLOCKS):
            ours += await our_starts(mesh, client, -(-setting.samples // _BLOCKS))
            for celery in peers:
                theirs[celery.pool.name] += await peer_starts(celery, -(-setting.samples // _BLOCKS), "celery", None)
    return _idle_figures(ours, theirs)


async def measure_priority(setting: Setting) -> list[Figure]:
    """A job of priority 10 behind many of priority 1, of which a worker with four slots runs one after the other."""
    ours, left = await _our_priority(setting)
    theirs = {pool.name: await _peer_priority(setting, pool) for pool in _peer_pools(setting)}
    best = min((percentile(taken, 50) for taken in theirs.values()), default=None)
    note = f"behind {setting.backlog:,} of {1000 * _LOW_SECONDS:g} ms in {_LOW_SLOTS} slots; {left:,} were left"
    return [
        Figure("priority_start_p50_ms", percentile(ours, 50), _PRIORITY, "celery_priority_start_p50_ms", best, note),
        Figure("priority_start_p99_ms", percentile(ours, 99)),
        *(Figure(f"celery_{name}_start_p50_ms", None, peer=percentile(taken, 50)) for name, taken in theirs.items()),
    ]


async def our_starts(mesh: BenchMesh, client: Program, samples: int, priority: int = 0) -> list[float]:
    """Returns the milliseconds until each of so many jobs started."""
    answer = await client.ask("start_times", samples=samples, pause=_PAUSE_SECONDS, priority=priority)
    sent: dict[str, int] = answer["sent"]
    for job in sent:
        await mesh.stamps.wait("start", job, _SECONDS)
    started = mesh.stamps.read("start")
    return [(started[job] - before) / 1e6 for job, before in sent.items()]


async def peer_starts(celery: Celery, samples: int, queue: str, priority: int | None) -> list[float]:
    """Returns the milliseconds until each of so many tasks started."""
    how = {"samples": samples, "pause": _PAUSE_SECONDS, "queue": queue, "priority": priority}
    taken: list[float] = (await celery.client.ask("start_times", **how))["ms"]
    return taken


async def _our_priority(setting: Setting) -> tuple[list[float], int]:
    """Returns the milliseconds of each start, and how many jobs of low priority were left at the end."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(running_mesh(setting))
        client = await stack.enter_async_context(await Program.start("bench.jobs.client", mesh.address))
        low = {"seconds": _LOW_SECONDS, "priority": 1, "in_flight": setting.in_flight}
        await client.ask("fill", jobs=setting.backlog, **low)
        await mesh.start_worker(_LOW_SLOTS)
        await our_starts(mesh, client, _WARM_UP, priority=10)
        return await our_starts(mesh, client, setting.samples, priority=10), await mesh.messages()


async def _peer_priority(setting: Setting, pool: Pool) -> list[float]:
    high, low, first, last = _SENT_TO[pool.name]
    async with running_celery(setting, pool, workers=0) as [celery]:
        await celery.client.ask("backlog", tasks=setting.backlog, seconds=_LOW_SECONDS, queue=low, priority=last)
        await celery.start_worker()
        await peer_starts(celery, _WARM_UP, high, first)
        return await peer_starts(celery, setting.samples, high, first)


def _peer_pools(setting: Setting) -> Sequence[Pool]:
    return (_TWO_QUEUES, _PRIORITIES) if setting.peer else ()


def _idle_figures(ours: Sequence[float], theirs: dict[str, list[float]]) -> list[Figure]:
    p50, p99 = percentile(ours, 50), percentile(ours, 99)
    best = min(theirs.values(), key=lambda taken: percentile(taken, 50), default=None)
    peer50, peer99 = (percentile(best, 50), percentile(best, 99)) if best else (None, None)
    target = Target(peer50, at_least=False) if peer50 else None
    p99_target = Target(_P99_FACTOR * p50, at_least=False)
    return [
        Figure("idle_start_p50_ms", p50, target, "celery_idle_start_p50_ms", peer50, "submit to the code's first line"),
        Figure("idle_start_p99_ms", p99, p99_target, "celery_idle_start_p99_ms", peer99, "at most twice the p50"),
        *(Figure(f"celery_{name}_idle_p50_ms", None, peer=percentile(taken, 50)) for name, taken in theirs.items()),
    ]
