"""What a failed command says."""

from __future__ import annotations

import click
from rich.console import Group, RenderableType
from rich.text import Text

from mistudio import errors
from mistudio.cli.session import Session, json_text


def hint(error: errors.MistudioError) -> str:
    """Returns what to do about an error; empty if nothing is known to help."""
    if error.reason == errors.NO_GATEWAY:
        return "start one: mistudio up"
    if isinstance(error, errors.JobFailedError):
        return f"run it again: mistudio jobs retry {error.job.id}"
    if error.retry_after is not None:
        return f"try again in {error.retry_after.total_seconds():.0f} s"
    return ""


def render(error: errors.MistudioError) -> RenderableType:
    """Returns the error for people: each bad field on its own line, and what helps."""
    sentence = "; ".join(filter(None, (error.message, hint(error))))
    if not error.violations:
        return Text.assemble(("error: ", "bold red"), sentence)
    lines = [Text.assemble(("error: ", "bold red"), "refused")]
    lines += [Text.assemble("  ", (bad.field or "request", "bold"), ": ", bad.description) for bad in error.violations]
    return Group(*lines)


def as_document(error: errors.MistudioError) -> dict[str, object]:
    """Returns the error for scripts."""
    return {
        "error": {
            "code": error.code,
            "reason": error.reason,
            "message": error.message,
            "metadata": error.metadata,
            "violations": [{"field": bad.field, "description": bad.description} for bad in error.violations],
            "retry_after_seconds": error.retry_after.total_seconds() if error.retry_after else None,
            "hint": hint(error),
        }
    }


def show(error: errors.MistudioError, session: Session) -> None:
    """Prints the error to stderr, as JSON if the session prints JSON."""
    if session.json:
        click.echo(json_text(as_document(error)), err=True)
    else:
        session.errors.print(render(error), soft_wrap=True)
