"""A worker whose jobs do what the test says: real processes, real broker, no science.

It is the service `trainer` (train_sae in a process) and `curator` (collect_garbage in a thread). What a train_sae
does is named in the first hook point.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import structlog

from mistudio import v1
from mistudio_runtime.jobs import Handler, JobContext, PermanentFailure, Service, TransientFailure
from mistudio_runtime.process import run_until_signalled
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings
from mistudio_runtime.telemetry.logging import configure_logging
from mistudio_runtime.worker.options import parse_options
from mistudio_runtime.worker.worker import Worker
from support.misdeeds import MISDEEDS

STEP_SECONDS = 0.02
PRELOAD = "TOY_PRELOAD"
DEAF = 2
DEAF_SECONDS = 12.0


def train(spec: v1.TrainSae, context: JobContext) -> list[str]:
    """Obeys the first hook point.

    It is "count", "stubborn", "die_once", "permanent", "transient_once", "greedy", "crash", "silent", "noisy" or a
    misdeed.
    """
    what = spec.hook_points[0]
    if what == "permanent":
        raise PermanentFailure("the toy never works; change the hook point", reason="TOY")
    if what == "crash":
        raise KeyError("a secret text")
    if what == "transient_once" and context.attempt == 1:
        raise TransientFailure("the toy works the second time")
    if what == "die_once" and context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "greedy":
        hoard = bytearray(600_000_000)
        hoard[::4096] = b"x" * len(hoard[::4096])
    if what == "noisy":
        make_noise()
    if what in MISDEEDS:
        MISDEEDS[what](spec, context)
    if what == "silent":
        time.sleep(spec.total_tokens * STEP_SECONDS)
    else:
        _count(spec, context, stubborn=what == "stubborn")
    with context.draft("sae", parents=[], parameters={}) as draft:
        (draft.path / "result.txt").write_text(f"attempt {context.attempt}")
        return [draft.commit()]


def _count(spec: v1.TrainSae, context: JobContext, *, stubborn: bool) -> None:
    """Counts to total_tokens, continuing where the attempt before was stopped."""
    cursor = context.scratch / "cursor"
    start = int(cursor.read_text()) if cursor.exists() else 0
    context.log("info", f"starts at {start}")
    context.stages({"count": 1})
    for done in range(start, spec.total_tokens):
        if not stubborn:
            _replace(cursor, str(done))
            context.raise_if_stopped()
            if context.finish_requested():
                context.log("info", f"finishes at {done}")
                return
        context.progress("count", done, spec.total_tokens, "steps")
        context.metric("number", float(done), step=done)
        time.sleep(STEP_SECONDS)


def _replace(file: Path, text: str) -> None:
    """Writes a file in one step: whoever kills this process leaves the old text or the new one."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


def make_noise() -> None:
    """Logs in every way that a library may, with a secret, and far too much."""
    logging.getLogger("transformers.modeling").warning("weights are\nnot used: %s", ["lm_head"])
    logging.getLogger("transformers.modeling").info("a detail")
    warnings.warn("an old way", UserWarning, stacklevel=1)
    structlog.get_logger("science").warning("loss diverges", step=3, url="s3://key:hunter2222@bucket")
    thread = threading.Thread(target=lambda: 1 / 0, name="loader")
    thread.start()
    thread.join()
    for number in range(1_000):
        logging.getLogger("datasets").warning("the same")
        logging.getLogger("datasets").error("row %d is bad", number)


def collect(spec: v1.CollectGarbage, context: JobContext) -> list[str]:
    """Does nothing, quickly; a dry run does it badly.

    With a minimal age of 1 s it does nothing until it is stopped, with one of 2 s it does not hear of that for long.
    """
    if spec.dry_run:
        logging.getLogger("fsspec").warning("a file is gone")
        raise KeyError("a secret text")
    if spec.min_age.seconds:
        deaf_until = time.monotonic() + (DEAF_SECONDS if spec.min_age.seconds == DEAF else 0)
        while time.monotonic() < deaf_until or context.stop_requested() is None:
            time.sleep(STEP_SECONDS)
        context.raise_if_stopped()
    context.progress("collect", 1, 1, "files")
    return []


def note(spec: v1.UpdateMetadata, context: JobContext) -> list[str]:
    """Does nothing, quickly."""
    context.progress("note", 1, 1, spec.artifact_id)
    return []


SERVICES = (
    Service(
        "trainer",
        (Handler("train_sae", "support.toy:train", fitting="support.misdeeds:fitting"),),
        preload=tuple(os.environ.get(PRELOAD, "").split()),
    ),
    Service(
        "curator",
        (
            Handler("collect_garbage", "support.toy:collect", isolation="inline"),
            Handler("update_metadata", "support.toy:note", isolation="inline"),
        ),
    ),
)


def main() -> None:
    """Runs the worker until it is signalled."""
    settings = Settings.load()
    configure_logging(settings, "toy")
    table = load_queues(settings.queues_file)
    options = parse_options(("trainer", "curator"), table, settings.host, sys.argv[1:])
    if options.device is not None:
        settings = settings.model_copy(update={"device": options.device})
    worker = Worker(settings, table, SERVICES, options)
    run_until_signalled(lambda stop: worker.run(settings.nats_url, stop))


if __name__ == "__main__":
    main()
