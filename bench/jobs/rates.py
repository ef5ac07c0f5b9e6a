"""No-op jobs a second, by unary calls, the SDK and bulk calls, and Celery's, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.figures import Figure, Target, median, ratio
from bench.jobs.mesh import BenchMesh, running_mesh
from bench.jobs.peer.celery import PREFORK, THREADS, Celery, running_celery
from bench.jobs.rounds import Round, cpu_ms_a_job, our_round, peer_round
from bench.jobs.setting import Setting
from bench.program import Program

_UNARY, _BULK = Target(2.5, at_least=True), Target(10.0, at_least=True)
_BULK_FACTOR = 4
_BULK_IN_FLIGHT = 4
_WARM_UP = 200

Results = dict[str, list[Round]]


async def measure_unary(setting: Setting) -> list[Figure]:
    """One job a call, by the stub and by the SDK."""
    results = await _rounds(setting, ["unary", "sdk"])
    peer, figures = _peer(results)
    unary, sdk = _rate(results, "unary"), _rate(results, "sdk")
    note = f"{setting.in_flight} calls in flight, {setting.clients} client process(es), submit to all ended"
    return [
        Figure("unary_jobs_per_s", unary, peer_key="celery_jobs_per_s", peer=peer, note=note),
        Figure("sdk_jobs_per_s", sdk, peer=peer, note="the same by mistudio.AsyncClient, which adds request ids"),
        *figures,
        Figure("unary_vs_celery", ratio(unary, peer), _UNARY, details=_cpu(results)),
    ]


async def measure_bulk(setting: Setting) -> list[Figure]:
    """Many jobs a call."""
    results = await _rounds(setting, ["bulk"])
    peer, _ = _peer(results)
    bulk = _rate(results, "bulk")
    note = f"{setting.a_call} jobs a call" if bulk else "this gateway does not serve SubmitJobs"
    return [
        Figure("batch_jobs_per_s", bulk, peer=peer, note=note),
        Figure("batch_vs_celery", ratio(bulk, peer), _BULK, details=_cpu(results)),
    ]


async def _rounds(setting: Setting, ways: Sequence[str]) -> Results:
    results: Results = defaultdict(list)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(running_mesh(setting))
        await mesh.start_worker(setting.slots)
        clients = [
            await stack.enter_async_context(await Program.start("bench.jobs.client", mesh.address))
            for _ in range(setting.clients)
        ]
        pools = [PREFORK, THREADS] if setting.peer else []
        peers = await stack.enter_async_context(running_celery(setting, *pools))
        for number in range(setting.rounds + 1):  # the first warms up and does not count
            for name, each in (await _round(setting, ways, mesh, clients, peers, warm_up=number == 0)).items():
                if number:
                    results[name].append(each)
                    print(f"round {number}: {name:15} {each.rate:9,.0f} jobs/s", flush=True)
    return results


async def _round(
    setting: Setting,
    ways: Sequence[str],
    mesh: BenchMesh,
    clients: Sequence[Program],
    peers: Sequence[Celery],
    *,
    warm_up: bool,
) -> dict[str, Round]:
    jobs = min(_WARM_UP, setting.jobs) if warm_up else setting.jobs
    done: dict[str, Round] = {}
    for way in ways:
        bulk = {"jobs": jobs * _BULK_FACTOR, "a_call": setting.a_call, "in_flight": _BULK_IN_FLIGHT}
        how = bulk if way == "bulk" else {"jobs": jobs, "in_flight": setting.in_flight}
        if (each := await our_round(mesh, clients, way, **how)) is not None:
            done[way] = each
    for celery in peers:
        done[f"celery {celery.pool.name}"] = await peer_round(celery, jobs)
    return done


def _rate(results: Results, name: str) -> float | None:
    rounds = results.get(name)
    return median([each.rate for each in rounds]) if rounds else None


def _peer(results: Results) -> tuple[float | None, list[Figure]]:
    """Returns the rate of the peer's best pool, and a figure for each of its pools."""
    rates = {pool.name: _rate(results, f"celery {pool.name}") for pool in (PREFORK, THREADS)}
    measured = {name: rate for name, rate in rates.items() if rate}
    figures = [Figure(f"celery_{name}_jobs_per_s", None, peer=rate) for name, rate in measured.items()]
    return max(measured.values(), default=None), figures


def _cpu(results: Results) -> dict[str, dict[str, float]]:
    return {f"cpu_ms_a_job_{name.replace(' ', '_')}": cpu_ms_a_job(rounds) for name, rounds in results.items()}
