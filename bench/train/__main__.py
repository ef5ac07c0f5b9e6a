"""`python -m bench.train`: training beside SAELens, sparsify and dictionary_learning; a table, then one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bench.figures import Figure, as_json, print_table
from bench.train import measures
from bench.train.environments import PeerMissingError
from bench.train.measures import Setting
from bench.train.task import make_workload
from bench.train.tools import OURS, PEERS, Tools, started

Measure = Callable[[Tools, Setting], Awaitable[list[Figure]]]
MEASURES: Mapping[str, Measure] = {
    "e2e": measures.end_to_end,
    "step": measures.steps,
    "limits": measures.limits,
    "sweep": measures.sweep,
    "rates": measures.learning_rates,
}
"""What `--only` names, in the order in which they are run."""


async def measure(setting: Setting, chosen: Sequence[str], threads: int) -> list[Figure]:
    """Runs the chosen measurements one after the other."""
    async with started([OURS, *(PEERS if setting.peers else ())], threads) as tools:
        figures: list[Figure] = []
        for name in chosen:
            print(f"--- {name} ---", flush=True)
            figures += await MEASURES[name](tools, setting)
        return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what is measured, a table, and one JSON object; ends with 1 if a peer is missing."""
    given = _parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mistudio-bench-") as home:
        workload = make_workload(Path(home), steps=given.steps)
        setting = Setting(workload, given.rounds, given.peers)
        print(f"{os.cpu_count()} processors, {given.threads} threads, load {os.getloadavg()[0]:.1f} before the start")
        try:
            figures = asyncio.run(measure(setting, given.only or list(MEASURES), given.threads))
        except PeerMissingError as error:
            sys.exit(f"{error}")
    print_table(figures, "best peer")
    print(as_json(figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.train", description=__doc__)
    parser.add_argument("--only", type=_names, help=f"only these, with commas: {','.join(MEASURES)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each comparison; medians are reported")
    parser.add_argument("--steps", type=int, default=64, help="steps of a training, of 4,096 tokens each")
    parser.add_argument("--threads", type=int, default=2, help="threads of each program")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave the peers out")
    return parser


def _names(value: str) -> list[str]:
    names = value.split(",")
    if unknown := sorted(set(names) - set(MEASURES)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not one of {', '.join(MEASURES)}")
    return names


if __name__ == "__main__":
    main()
