"""What is measured: each comparison with its questions and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.figures import Figure, Target, ratio
from bench.train.tools import OURS, PEERS, Question, Sample, Tools, fvu, rate
from bench.train.workload import Workload

DEFAULT_PEERS = tuple(peer for peer in PEERS if peer != "SAELens tuned")
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
"""Learning rates of the sweep."""
WIDE = 16_384
"""Latents of the wide dictionary."""
MANY = 8
"""SAEs of the sweep."""


@dataclass(frozen=True)
class Setting:
    """How much is measured."""

    workload: Workload
    rounds: int
    peers: bool

    def of(self, tools: Sequence[str]) -> list[str]:
        """Returns the tools that are measured."""
        return [OURS, *(tool for tool in tools if self.peers)]


async def end_to_end(tools: Tools, setting: Setting) -> list[Figure]:
    """From tokens to the last step, at equal settings: rate, and FVU on held-out tokens."""
    work, half = setting.workload, replace(setting.workload, bf16=True)
    questions = {name: Question(name, "train", work) for name in setting.of(DEFAULT_PEERS)}
    questions["miStudio bf16"] = Question(OURS, "train", half)
    if setting.peers:
        questions["SAELens tuned"] = Question("SAELens tuned", "train", half)
    found = await tools.compare(questions, setting.rounds)
    best = _best(found, DEFAULT_PEERS)
    fp32, bf16 = rate(found[OURS]), rate(found["miStudio bf16"])
    tuned = rate(found["SAELens tuned"]) if "SAELens tuned" in found else None
    return [
        Figure("fp32_vs_best_peer", ratio(fp32, best), Target(3, at_least=True), note=_rates(found)),
        Figure("bf16_vs_best_peer", ratio(bf16, best), Target(5, at_least=True)),
        Figure("bf16_vs_saelens_tuned", ratio(bf16, tuned), Target(2.5, at_least=True)),
        Figure("fvu", fvu(found[OURS]), note=_fvus(found), peer_key="peer_fvu", peer=_least_fvu(found)),
        Figure("fvu_bf16", fvu(found["miStudio bf16"])),
    ]


async def steps(tools: Tools, setting: Setting) -> list[Figure]:
    """The SAE's step alone, at the workload's width and at a wide one."""
    narrow = await _steps(tools, setting, setting.workload)
    wide = await _steps(
        tools, setting, replace(setting.workload, d_sae=WIDE, steps=max(2, setting.workload.steps // 8))
    )
    return [
        Figure("step_tokens_per_s", rate(narrow[OURS]), note=_rates(narrow)),
        Figure("step_bf16_tokens_per_s", rate(narrow["miStudio bf16"])),
        Figure("step16k_tokens_per_s", rate(wide[OURS]), note=_rates(wide)),
        Figure("step16k_vs_sparsify", _over(wide, "sparsify"), Target(3, at_least=True)),
        Figure("step16k_vs_saelens", _over(wide, "SAELens"), Target(15, at_least=True)),
    ]


async def limits(tools: Tools, setting: Setting) -> list[Figure]:
    """Training beside harvesting alone, and harvesting beside the bare model."""
    figures = []
    for suffix, bf16 in (("", False), ("_bf16", True)):
        work = replace(setting.workload, bf16=bf16)
        questions = {do: Question(OURS, do, work) for do in ("train", "harvest", "bare")}
        found = await tools.compare(questions, setting.rounds)
        train, harvest, bare = (rate(found[do]) for do in questions)
        figures += [
            Figure(f"e2e_vs_harvest{suffix}", train / harvest, Target(0.85, at_least=True), note=_rates(found)),
            Figure(f"harvest_vs_bare{suffix}", harvest / bare, Target(1, at_least=True)),
        ]
    return figures


async def sweep(tools: Tools, setting: Setting) -> list[Figure]:
    """Eight SAEs on one harvest beside one."""
    work = setting.workload
    questions = {"one": Question(OURS, "train", work), "eight": Question(OURS, "train", replace(work, saes=MANY))}
    found = await tools.compare(questions, setting.rounds)
    took = rate(found["one"]) / rate(found["eight"])
    return [Figure("sweep8_vs_one", took, Target(3, at_least=False), note="times the time of one")]


async def learning_rates(tools: Tools, setting: Setting) -> list[Figure]:
    """Each tool at its best learning rate of a small sweep: FVU on held-out tokens."""
    names = setting.of(DEFAULT_PEERS)
    questions = {
        f"{name} at {value:g}": Question(name, "train", replace(setting.workload, rate=value))
        for name in names
        for value in RATES
    }
    found = await tools.compare(questions, 1)
    best = {name: min(fvu(found[f"{name} at {value:g}"]) or 1.0 for value in RATES) for name in names}
    peer = min((best[name] for name in names[1:]), default=None)
    table = {name: {f"{value:g}": fvu(found[f"{name} at {value:g}"]) for value in RATES} for name in names}
    return [Figure("best_fvu", best[OURS], peer_key="best_peer_fvu", peer=peer, details={"learning_rates": table})]


async def _steps(tools: Tools, setting: Setting, work: Workload) -> dict[str, list[Sample]]:
    questions = {name: Question(name, "step", work) for name in setting.of(DEFAULT_PEERS)}
    questions["miStudio bf16"] = Question(OURS, "step", replace(work, bf16=True))
    return await tools.compare(questions, setting.rounds)


def _best(found: Mapping[str, Sequence[Sample]], peers: Sequence[str]) -> float | None:
    return max((rate(found[peer]) for peer in peers if peer in found), default=None)


def _least_fvu(found: Mapping[str, Sequence[Sample]]) -> float | None:
    values = [fvu(found[peer]) for peer in DEFAULT_PEERS if peer in found]
    return min((value for value in values if value is not None), default=None)


def _over(found: Mapping[str, Sequence[Sample]], peer: str) -> float | None:
    return ratio(rate(found[OURS]), rate(found[peer]) if peer in found else None)


def _rates(found: Mapping[str, Sequence[Sample]]) -> str:
    return "tokens/s: " + ", ".join(f"{name} {rate(samples):,.0f}" for name, samples in found.items())


def _fvus(found: Mapping[str, Sequence[Sample]]) -> str:
    values = {name: fvu(samples) for name, samples in found.items()}
    return ", ".join(f"{name} {value:.4f}" for name, value in values.items() if value is not None)
