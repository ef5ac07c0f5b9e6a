"""Runs a command line and turns whatever happens into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from mistudio.cli import problems
from mistudio.cli.app import app
from mistudio.cli.exits import Exit, of_error
from mistudio.cli.session import Session
from mistudio.errors import MistudioError


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    session = Session(gateway="", json="--json" in arguments)
    try:
        code = app.main(list(arguments), prog_name="mistudio", standalone_mode=False, obj=session)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except MistudioError as error:
        problems.show(error, session)
        return of_error(error)
    except BrokenPipeError:  # whoever read our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return code if isinstance(code, int) else Exit.OK


def main() -> None:
    """Runs the command line of this process and ends the process."""
    sys.exit(run(sys.argv[1:]))
