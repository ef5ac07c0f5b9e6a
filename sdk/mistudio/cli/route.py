"""`mistudio route KIND`: one command a job kind, made from the contract."""

from __future__ import annotations

from typing import Any

import click
from google.protobuf.descriptor import FieldDescriptor

from mistudio.cli.command import MeshCommand, MeshGroup
from mistudio.cli.render.queues import render_route
from mistudio.cli.session import Session
from mistudio.cli.spec.comments import comment
from mistudio.cli.spec.options import params_option, read_spec, spec_options
from mistudio.cli.spec.shapes import message_of
from mistudio.specs import KINDS


@click.group(cls=MeshGroup)
def route() -> None:
    """Says where a job would go, who would take it, and when; submits nothing.

    With parameters they are checked, too, as submitting the job would check them.
    """


def _command(kind: str, field: FieldDescriptor) -> click.Command:
    @click.pass_obj
    def run(session: Session, /, priority: int | None, params: str | None, **values: Any) -> None:
        given = params is not None or any(value not in (None, ()) for value in values.values())
        asked = read_spec(kind, params, values) if given else kind
        with session.client() as client:
            found = client.queues.explain(asked, priority=priority or 0)
        session.show(found, lambda: render_route(found))

    priority = click.Option(
        ["--priority"], type=click.IntRange(1, 10), help="The priority that the job would carry; 10 first."
    )
    return MeshCommand(
        name=kind,
        callback=run,
        params=[*spec_options(field), params_option(), priority],
        help=f"The route of a job: {comment(message_of(field).full_name)}",
    )


for _kind, _field in KINDS.items():
    route.add_command(_command(_kind, _field))
