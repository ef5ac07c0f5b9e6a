"""`mistudio submit KIND`: one command a job kind, made from the contract."""

from __future__ import annotations

from typing import Any

import click
from google.protobuf.descriptor import FieldDescriptor

from mistudio.blocking.job import Job
from mistudio.cli.command import MeshCommand, MeshGroup
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.render.jobs import render_job
from mistudio.cli.session import Session
from mistudio.cli.spec.comments import comment
from mistudio.cli.spec.options import params_option, read_spec, spec_options
from mistudio.cli.spec.shapes import message_of
from mistudio.cli.spec.values import Pair, TimeSpan, WholeNumber
from mistudio.specs import KINDS


@click.group(cls=MeshGroup)
def submit() -> None:
    """Submits a job; each kind has its own options."""


def job_options() -> list[click.Parameter]:
    """Returns fresh options that every job kind takes."""
    pair = Pair()
    return [
        params_option(),
        click.Option(["--name"], default="", help="A name for people."),
        click.Option(["--priority"], type=click.IntRange(1, 10), help="10 first; without it the queue's."),
        click.Option(["--label", "labels"], type=pair, multiple=True, help="A label for finding it again. Repeatable."),
        click.Option(["--after", "depends_on"], metavar="JOB", multiple=True, help="Run after this job. Repeatable."),
        click.Option(["--max-attempts"], type=WholeNumber(), help="Attempts before it fails for good."),
        click.Option(["--timeout"], type=TimeSpan(), help="How long one attempt may run, e.g. 2h; then it fails."),
        click.Option(["--start-within"], type=TimeSpan(), help="How long it may wait in its queue; then it fails."),
        click.Option(["--request-id"], default="", help="The same id answers with the same job."),
        click.Option(["--watch/--detach"], help="Follow the job to its end, or leave at once (the default)."),
        click.Option(["--validate-only"], is_flag=True, help="Only validate; submit nothing."),
    ]


def _command(kind: str, field: FieldDescriptor) -> click.Command:
    @click.pass_obj
    def run(session: Session, /, params: str | None, **values: Any) -> int | None:
        return _submit(session, kind, params, values)

    return MeshCommand(
        name=kind,
        callback=run,
        params=spec_options(field) + job_options(),
        help=comment(message_of(field).full_name),
    )


def _submit(session: Session, kind: str, params: str | None, values: dict[str, Any]) -> int | None:
    with session.client() as client:
        job = client.jobs.submit(
            read_spec(kind, params, values),
            display_name=values["name"],
            priority=values["priority"] or 0,
            labels=dict(values["labels"]),
            depends_on=values["depends_on"],
            max_attempts=values["max_attempts"] or 0,
            job_timeout=values["timeout"],
            start_within=values["start_within"],
            request_id=values["request_id"],
            validate_only=values["validate_only"],
        )
    return _tell(session, job, watch=values["watch"], validated=values["validate_only"])


def _tell(session: Session, job: Job, *, watch: bool, validated: bool) -> int | None:
    if validated:
        session.show(job.proto, lambda: f"valid; it would go to queue {job.proto.queue}")
        return None
    if watch:
        return watch_to_end(session, [job.proto])
    session.show(job.proto, lambda: render_job(job.proto))
    session.say(f"follow it: mistudio jobs watch {job.id}", "dim")
    return None


for _kind, _field in KINDS.items():
    submit.add_command(_command(_kind, _field))
