"""`mistudio training …`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from mistudio import v1
from mistudio.cli.command import MeshCommand, MeshGroup
from mistudio.cli.fetched import fetch
from mistudio.cli.render.training import render_estimate, render_metrics
from mistudio.cli.session import Session
from mistudio.cli.spec.options import params_option, read_spec, spec_options
from mistudio.specs import KINDS


@click.group(cls=MeshGroup)
def training() -> None:
    """Shows what training measured, fetches its reports, and predicts what it will need."""


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


@training.command()
@click.argument("sae_id", metavar="SAE")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; default: SAE.html here.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.pass_obj
def report(session: Session, sae_id: str, output: Path | None, show: bool) -> None:  # noqa: FBT001 - click calls it so
    """Fetches an SAE's training report, one HTML file that needs no network."""
    path = output or Path(f"{sae_id}.html")
    with session.client() as client:
        size = fetch(client, sae_id, "report.html", path)
    session.show({"path": str(path), "bytes": size}, lambda: Text(f"wrote {path}"))
    if show:
        click.launch(str(path))


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
