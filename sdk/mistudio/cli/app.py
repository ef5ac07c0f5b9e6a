"""The root of the command."""

from __future__ import annotations

import click

from mistudio.channel import DEFAULT_GATEWAY
from mistudio.cli.artifacts import artifacts
from mistudio.cli.command import MeshGroup
from mistudio.cli.datasets import datasets, tokens
from mistudio.cli.demo.command import demo
from mistudio.cli.doctor.command import doctor
from mistudio.cli.exits import EPILOG
from mistudio.cli.features import features
from mistudio.cli.jobs import jobs
from mistudio.cli.queues import queues
from mistudio.cli.route import route
from mistudio.cli.schedules import schedules
from mistudio.cli.session import Session
from mistudio.cli.stack.down import down
from mistudio.cli.stack.logs import logs
from mistudio.cli.stack.status import status
from mistudio.cli.stack.up import up
from mistudio.cli.submit import submit
from mistudio.cli.top.command import top
from mistudio.cli.training import training
from mistudio.cli.workers import workers


@click.group(cls=MeshGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--gateway",
    metavar="ADDRESS",
    envvar="MISTUDIO_GATEWAY",
    default=DEFAULT_GATEWAY,
    show_default=True,
    show_envvar=True,
    help="Where the gateway is; several with commas.",
)
@click.option("--json", is_flag=True, help="Print JSON for scripts; every command takes it, too.")
@click.version_option(package_name="mistudio", prog_name="mistudio")
@click.pass_obj
def app(session: Session, gateway: str, json: bool) -> None:  # noqa: FBT001 - click calls it so
    """From raw text to readable features of a language model.

    \b
    mistudio demo                    see it work, offline, in ten minutes
    mistudio up --detach             start the mesh on this machine
    mistudio submit train_sae ...    give it a job
    mistudio jobs watch JOB          follow the job
    """  # noqa: D301 - click looks for a real backspace, its mark of lines that stay as they are
    session.gateway = gateway
    session.json = session.json or json


for command in (
    demo,
    up,
    down,
    status,
    doctor,
    logs,
    top,
    submit,
    jobs,
    queues,
    route,
    schedules,
    workers,
    artifacts,
    datasets,
    tokens,
    training,
    features,
):
    app.add_command(command)
