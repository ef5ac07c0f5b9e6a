"""Where the time of gateway and worker goes: py-spy if it is installed, else cProfile."""

from __future__ import annotations

import io
import pstats
import shutil
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import psutil

_TOP = 30
_IMPORTING = "<frozen importlib"


class Profiler:
    """Runs processes under a profiler and prints the functions that took most time."""

    def __init__(self, folder: Path) -> None:
        """Takes where the profiles are written."""
        folder.mkdir()
        self._folder = folder
        self._spy = shutil.which("py-spy", path=sysconfig.get_path("scripts")) or shutil.which("py-spy")

    def around(self, name: str) -> tuple[str, ...]:
        """Returns what stands before `-m MODULE` in a command line."""
        if self._spy is None:
            # Only the main thread is seen: of a worker that leaves out the jobs themselves, which do nothing.
            return (sys.executable, "-m", "cProfile", "-o", str(self._folder / f"{name}.pstats"))
        out = str(self._folder / f"{name}.raw")
        options = ("--nonblocking", "--function", "--format", "raw", "--output", out)
        return (self._spy, "record", *options, "--", sys.executable)

    def end(self, pid: int) -> None:
        """Ends what runs under a profiler, which then writes what it knows."""
        # py-spy ends with what it watches; told to end itself, it would write nothing.
        processes = psutil.Process(pid).children() if self._spy else [psutil.Process(pid)]
        for process in processes:
            process.terminate()

    def print(self) -> None:
        """Prints all profiles that were written."""
        for file in sorted(self._folder.iterdir()):
            print(f"\n--- {file.stem}: where the time went ---")
            print(_of_samples(file.read_text()) if file.suffix == ".raw" else _of_calls(file))


def _of_calls(file: Path) -> str:
    text = io.StringIO()
    profile = pstats.Stats(str(file), stream=text).strip_dirs()
    profile.sort_stats("tottime").print_stats(_TOP)
    profile.sort_stats("cumulative").print_stats(_TOP)
    return text.getvalue()


def _of_samples(collapsed: str) -> str:
    """Sums collapsed stacks ("outer;inner 12" a line) by the innermost function, and by every function.

    The time of imports, before the work begins, is left out.
    """
    own: Counter[str] = Counter()
    cumulative: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        if _IMPORTING in stack:
            continue
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        cumulative.update(dict.fromkeys(frames, int(count)))
    total = sum(own.values()) or 1
    parts = [_listed("by itself", own, total), _listed("with what it called", cumulative, total)]
    return "\n".join(parts)


def _listed(title: str, counts: Counter[str], total: int) -> str:
    rows = [f"{100 * count / total:5.1f} %  {frame}" for frame, count in counts.most_common(_TOP)]
    return "\n".join([f"{title} (of {total} samples):", *rows])
