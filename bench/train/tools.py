"""The programs that are compared, asked in turn."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bench.program import Program
from bench.train.environments import python_of
from bench.train.workload import Workload

OURS = "miStudio"
_MODULES = {
    OURS: "bench.train.ours",
    "SAELens": "bench.train.peers.saelens",
    "SAELens tuned": "bench.train.peers.saelens",
    "sparsify": "bench.train.peers.sparsify",
    "dictionary_learning": "bench.train.peers.dictionary",
}
_ENVIRONMENTS = {
    "SAELens": "saelens",
    "SAELens tuned": "saelens",
    "sparsify": "sparsify",
    "dictionary_learning": "dictionary_learning",
}
PEERS = tuple(_ENVIRONMENTS)


@dataclass(frozen=True)
class Sample:
    """What one round gave."""

    rate: float
    """Tokens a second."""
    fvu: float | None
    """On held-out tokens, of what was trained."""


@dataclass(frozen=True)
class Question:
    """What one column of a comparison is asked, round after round."""

    tool: str
    do: str
    workload: Workload


class Tools:
    """Running programs, by name."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        """Takes programs that have started."""
        self._programs = programs

    async def compare(self, questions: Mapping[str, Question], rounds: int) -> dict[str, list[Sample]]:
        """Asks all questions in each round, one after the other; the samples of each by its name."""
        found: dict[str, list[Sample]] = {name: [] for name in questions}
        for number in range(rounds):
            for name, question in questions.items():
                sample = await self._ask(question)
                found[name].append(sample)
                fvu = "" if sample.fvu is None else f", FVU {sample.fvu:.4f}"
                print(f"round {number + 1}: {name}: {sample.rate:,.0f} tokens/s{fvu}", flush=True)
        return found

    async def _ask(self, question: Question) -> Sample:
        workload = question.workload
        answer = await self._programs[question.tool].ask(question.do, **workload.as_json())
        return Sample(workload.steps * workload.batch / answer["seconds"], answer.get("fvu"))


@asynccontextmanager
async def started(names: Sequence[str], threads: int) -> AsyncIterator[Tools]:
    """Starts programs, and ends them."""
    async with AsyncExitStack() as stack:
        programs = {}
        for name in names:
            python = python_of(_ENVIRONMENTS[name]) if name in _ENVIRONMENTS else sys.executable
            env = {"OMP_NUM_THREADS": str(threads), "BENCH_TUNED": str(int(name == "SAELens tuned"))}
            env["HF_HUB_OFFLINE"] = "1"
            env["PATH"] = os.environ["PATH"]
            programs[name] = await stack.enter_async_context(
                await Program.start(_MODULES[name], env=env, python=python)
            )
        yield Tools(programs)


def rate(samples: Sequence[Sample]) -> float:
    """Returns the median rate."""
    return statistics.median(sample.rate for sample in samples)


def fvu(samples: Sequence[Sample]) -> float | None:
    """Returns the median FVU, None if nothing was trained."""
    values = [sample.fvu for sample in samples if sample.fvu is not None]
    return statistics.median(values) if values else None
