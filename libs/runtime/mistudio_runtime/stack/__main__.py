"""python -m mistudio_runtime.stack: broker, gateway and the workers of a profile."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

BAD_USAGE = 2
INTERRUPTED = 130


def main() -> None:
    """Runs the stack and exits with its code; 2 for bad arguments or settings, 130 for Ctrl-C before it began."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # a shell's background job has it ignored, and means it
        signal.signal(signal.SIGINT, _leave)
    code = _run(_parser().parse_args())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all has been said and done; only the interpreter still ends
    sys.exit(code)


def _leave(*_: Any) -> None:
    # Nothing runs yet, and no other way out of the middle of an import is a quiet one.
    os._exit(INTERRUPTED)


def _run(arguments: argparse.Namespace) -> int:
    # Imported here, because they take a second or two, in which people press Ctrl-C.
    import asyncio  # noqa: PLC0415

    from mistudio_runtime.queues import QueueTableError, load_queues  # noqa: PLC0415
    from mistudio_runtime.settings import Settings, SettingsError  # noqa: PLC0415
    from mistudio_runtime.stack.console import Console  # noqa: PLC0415
    from mistudio_runtime.stack.own_log import OwnLog  # noqa: PLC0415
    from mistudio_runtime.stack.plan import PlanError, parse_scale, plan_stack  # noqa: PLC0415
    from mistudio_runtime.stack.run import run_stack  # noqa: PLC0415

    try:
        settings = Settings.load()
        plan = plan_stack(load_queues(settings.queues_file), arguments.profile, parse_scale(arguments.scale))
    except (SettingsError, QueueTableError, PlanError) as error:
        return _complain(str(error))
    if arguments.log:
        return asyncio.run(run_stack(settings, plan, OwnLog(arguments.log)))
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stdout.isatty())
    console = Console(["broker", "gateway", *(worker.name for worker in plan.workers)], pretty=pretty)
    return asyncio.run(run_stack(settings, plan, console))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mistudio_runtime.stack", description=__doc__)
    parser.add_argument("--profile", default="minimal", help="a profile of the queue table (default: minimal)")
    parser.add_argument(
        "--scale", action="append", default=[], metavar="NAME=N", help="run N processes of a worker, e.g. trainer=2"
    )
    parser.add_argument("--log", metavar="FILE", help="say what the stack does in this file, and only that")
    return parser


def _complain(text: str) -> int:
    sys.stderr.write(f"mistudio: {text}\n")
    return BAD_USAGE


if __name__ == "__main__":
    main()
