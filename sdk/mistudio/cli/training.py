"""`mistudio training …`."""

from __future__ import annotations

from typing import Any

import click

from mistudio import v1
from mistudio.cli.command import MeshCommand, MeshGroup
from mistudio.cli.render.training import render_estimate, render_metrics
from mistudio.cli.session import Session
from mistudio.cli.spec.options import params_option, read_spec, spec_options
from mistudio.specs import KINDS


@click.group(cls=MeshGroup)
def training() -> None:
    """Shows what training measured, and predicts what it will need."""


@training.command()
@click.argument("job_id", metavar="JOB")
@click.option("--name", "names", multiple=True, help='Only this metric, e.g. "loss". Repeatable.')
@click.option("--after-step", type=click.IntRange(0), help="Only points after this step.")
@click.pass_obj
def metrics(session: Session, job_id: str, names: tuple[str, ...], after_step: int | None) -> None:
    """Shows what a training job measured, while it runs and afterwards."""
    with session.client() as client:
        points = list(client.training.metrics(job_id, names=names, after_step=after_step))
    session.show({"points": points}, lambda: render_metrics(points))


@click.pass_obj
def _estimate(session: Session, /, params: str | None, **values: Any) -> None:
    spec = read_spec("train_sae", params, values)
    assert isinstance(spec, v1.TrainSae)
    with session.client() as client:
        answer = client.training.estimate(spec)
    session.show(answer, lambda: render_estimate(answer))


training.add_command(
    MeshCommand(
        name="estimate",
        callback=_estimate,
        params=[
            *spec_options(KINDS["train_sae"]),
            params_option(),
        ],
        help="Predicts memory and time of a training job; takes what `submit train_sae` takes.",
    )
)
