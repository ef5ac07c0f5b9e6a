"""What a toy job may do to its process, its worker and its machine."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from mistudio import v1
from mistudio_runtime.jobs import JobContext

TOLD = "told"
"""Folder of the home in which a job tells of itself, in a file of its name."""
SLEEP = (sys.executable, "-S", "-c", "import time; print(flush=True); time.sleep(1000)")
Misdeed = Callable[[v1.TrainSae, JobContext], None]


def told(home: Path, job_id: str) -> list[str]:
    """Returns the lines that a job has told."""
    file = home / TOLD / job_id
    return file.read_text().splitlines() if file.exists() else []


def tell(context: JobContext, *words: object) -> None:
    """Adds a line to what the job has told."""
    folder = context.settings.home / TOLD
    folder.mkdir(exist_ok=True)
    with (folder / context.job_id).open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


@contextlib.contextmanager
def alone_on(context: JobContext, device: str) -> Iterator[None]:
    """Holds a lock of the device, which ends with this process, and tells if somebody else has it."""
    folder = context.settings.home / "devices"
    folder.mkdir(exist_ok=True)
    with (folder / (device or "none")).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(context, "overlap", device)
        tell(context, "on", device)
        yield


def on_a_device(spec: v1.TrainSae, context: JobContext) -> None:
    """Uses the device that it was granted, for as many hundredths of a second as it has tokens."""
    with alone_on(context, context.device(spec.device)):
        for done in range(spec.total_tokens):
            context.raise_if_stopped()
            context.progress("compute", done, spec.total_tokens, "steps")
            time.sleep(0.01)


def segfault(_: v1.TrainSae, context: JobContext) -> None:
    """Crashes in native code, the first time."""
    if context.attempt == 1:
        ctypes.string_at(0)


def leave(_: v1.TrainSae, context: JobContext) -> None:
    """Ends the process without a word, the first time."""
    if context.attempt == 1:
        os._exit(3)


def be_deaf(_: v1.TrainSae, context: JobContext) -> None:
    """Hears neither its worker nor SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell(context, "pid", os.getpid())
    while True:
        time.sleep(0.1)


def be_stuck(_: v1.TrainSae, context: JobContext) -> None:
    """Is in native code for ever and lets no other thread run."""
    tell(context, "pid", os.getpid())
    ctypes.PyDLL(None).sleep(1000)


def talk(_: v1.TrainSae, context: JobContext) -> None:
    """Says far more than anybody can take at once, from several threads; one of them breaks."""

    def say() -> None:
        for number in range(400):
            context.log("info", f"{number} " + "x" * 1500)

    threads = [threading.Thread(target=say) for _ in range(4)] + [threading.Thread(target=lambda: 1 / 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def have_children(context: JobContext) -> None:
    """Starts processes in the group and out of it, and one that holds the worker's pipe."""
    plain = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    away = subprocess.Popen(SLEEP, stdout=subprocess.PIPE, start_new_session=True)
    for process in (plain, away):
        assert process.stdout is not None
        process.stdout.readline()
    forked = os.fork()
    if not forked:
        while True:
            signal.pause()
    tempfile.mkstemp()
    tell(context, "pid", os.getpid())
    for pid in (plain.pid, away.pid, forked):
        tell(context, "pid", pid)
    tell(context, "temporary", tempfile.gettempdir())


def return_early(_: v1.TrainSae, context: JobContext) -> None:
    """Leaves children behind when it is done."""
    have_children(context)


def die_early(_: v1.TrainSae, context: JobContext) -> None:
    """Leaves children behind when it is killed, the first time."""
    if context.attempt == 1:
        have_children(context)
        os.kill(os.getpid(), signal.SIGKILL)


def live_long(_: v1.TrainSae, context: JobContext) -> None:
    """Has children and computes on and on."""
    have_children(context)
    ctypes.PyDLL(None).sleep(1000)


def hoard(spec: v1.TrainSae, _: JobContext) -> None:
    """Holds 150 MB for each token of a batch, and waits to be seen with it."""
    hoarded = bytearray(150_000_000 * spec.batch_tokens)
    hoarded[::4096] = b"x" * len(hoarded[::4096])
    for _ in range(30 if spec.batch_tokens > 1 else 1):
        time.sleep(0.1)


def fitting(spec: v1.TrainSae, used: int, limit: int) -> dict[str, object]:
    """Advises a hoarder to be modest."""
    return {"batch_tokens": 1} if used > limit and spec.batch_tokens > 1 else {}


def poison(_: v1.TrainSae, context: JobContext) -> None:
    """Kills its worker."""
    tell(context, "attempt", context.attempt)
    forkserver = psutil.Process(os.getppid())
    os.kill(forkserver.ppid(), signal.SIGKILL)
    time.sleep(1000)


MISDEEDS: dict[str, Misdeed] = {
    "device": on_a_device,
    "segfault": segfault,
    "leave": leave,
    "deaf": be_deaf,
    "stuck": be_stuck,
    "talk": talk,
    "return_early": return_early,
    "die_early": die_early,
    "live_long": live_long,
    "hoard": hoard,
    "poison": poison,
}
"""By the name that the first hook point gives."""
