"""python -m mistudio_runtime.stack: broker, gateway and the workers of a profile."""

from __future__ import annotations

import argparse
import asyncio
import sys

from mistudio_runtime.queues import QueueTableError, load_queues
from mistudio_runtime.settings import Settings, SettingsError
from mistudio_runtime.stack.console import Console
from mistudio_runtime.stack.plan import PlanError, parse_scale, plan_stack
from mistudio_runtime.stack.run import run_stack

BAD_USAGE = 2


def main() -> None:
    """Runs the stack and exits with its code; 2 for bad arguments or settings."""
    arguments = _parser().parse_args()
    try:
        settings = Settings.load()
        plan = plan_stack(load_queues(settings.queues_file), arguments.profile, parse_scale(arguments.scale))
    except (SettingsError, QueueTableError, PlanError) as error:
        sys.exit(_complain(str(error)))
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stdout.isatty())
    console = Console(["broker", "gateway", *(worker.name for worker in plan.workers)], pretty=pretty)
    sys.exit(asyncio.run(run_stack(settings, plan, console)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m mistudio_runtime.stack", description=__doc__)
    parser.add_argument("--profile", default="minimal", help="a profile of the queue table (default: minimal)")
    parser.add_argument(
        "--scale", action="append", default=[], metavar="NAME=N", help="run N processes of a worker, e.g. trainer=2"
    )
    return parser


def _complain(text: str) -> int:
    sys.stderr.write(f"mistudio: {text}\n")
    return BAD_USAGE


if __name__ == "__main__":
    main()
