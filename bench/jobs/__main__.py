"""`python -m bench.jobs`: the job plane beside Celery; a table, and as the last line one JSON object."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil

from bench.figures import Figure, as_json, print_table
from bench.jobs import crowds, faults, ledger, rates, starts
from bench.jobs.peer.environment import PeerMissingError, peer_python
from bench.jobs.setting import Setting

Measure = Callable[[Setting], Awaitable[list[Figure]]]
MEASURES: Mapping[str, Measure] = {
    "unary": rates.measure_unary,
    "bulk": rates.measure_bulk,
    "idle": starts.measure_idle,
    "priority": starts.measure_priority,
    "redelivery": faults.measure_redelivery,
    "cancel": faults.measure_cancel,
    "watchers": crowds.measure_watchers,
    "workers": crowds.measure_workers,
    "ledger": ledger.measure_ledger,
}
"""What `--only` names, in the order in which they are run."""


async def measure(setting: Setting, chosen: Sequence[str]) -> list[Figure]:
    """Runs the chosen measurements one after the other; one that fails is told, and the others go on."""
    myself = asyncio.current_task()
    assert myself is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, myself.cancel)  # in order, as Ctrl-C does
    figures: list[Figure] = []
    for name in chosen:
        print(f"--- {name} ---", flush=True)
        try:
            figures += await MEASURES[name](setting)
        except Exception as error:  # noqa: BLE001 - an hour of other figures must not be lost
            traceback.print_exc()
            figures.append(Figure(f"{name}_failed", None, note=f"{type(error).__name__}: {error}"))
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what is measured, a table, and one JSON object; ends with 1 if the peer is missing or it was stopped."""
    given = vars(_parser().parse_args(argv))
    chosen = given.pop("only") or list(MEASURES)
    for variable in [name for name in os.environ if name.startswith("MISTUDIO_")]:
        del os.environ[variable]  # the user's own settings would change the mesh of the bench
    with tempfile.TemporaryDirectory(prefix="mistudio-bench-", dir=given.pop("home")) as home:
        setting = Setting(home=Path(home), **given)
        _describe(setting.home)
        try:
            if setting.peer:
                peer_python()
            figures = asyncio.run(measure(setting, chosen))
        except PeerMissingError as error:
            sys.exit(f"{error}")
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.exit("stopped")
    print_table(figures)
    print(as_json(figures))


def _describe(home: Path) -> None:
    """Says what the figures depend on: processors, who else uses them, and where the broker writes."""
    mounts = [part for part in psutil.disk_partitions(all=True) if home.is_relative_to(part.mountpoint)]
    disk = max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before the start, the brokers write to {disk}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.jobs", description=__doc__)
    parser.add_argument("--only", type=_names, help=f"only these, with commas: {','.join(MEASURES)}")
    parser.add_argument("--home", help="write below this folder (default: the system's temporary one)")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave Celery out")
    parser.add_argument("--profile", action="store_true", help="run gateway and worker under a profiler and print it")
    for field in dataclasses.fields(Setting):
        if field.type in ("int", "float"):
            kind = {"int": int, "float": float}[str(field.type)]
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    return parser


def _names(value: str) -> list[str]:
    names = value.split(",")
    if unknown := sorted(set(names) - set(MEASURES)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not one of {', '.join(MEASURES)}")
    return names


if __name__ == "__main__":
    main()
