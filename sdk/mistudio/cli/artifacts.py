"""`mistudio artifacts …`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path, PurePosixPath

import click
from rich.text import Text

from mistudio.cli.command import MeshGroup
from mistudio.cli.fetched import fetch
from mistudio.cli.follow.watch import watch_to_end
from mistudio.cli.render.artifacts import render_artifact, render_artifacts
from mistudio.cli.session import Session
from mistudio.cli.spec.values import Pair, ShortName
from mistudio.v1 import ArtifactKind

_KINDS = list(ShortName(ArtifactKind.DESCRIPTOR).numbers)


@click.group(cls=MeshGroup)
def artifacts() -> None:
    """Lists, shows, downloads, names and deletes artifacts."""


@artifacts.command("list")
@click.option("--kind", "kinds", type=click.Choice(_KINDS), multiple=True, help="Only this kind. Repeatable.")
@click.option("--label", "labels", type=Pair(), multiple=True, help="Only with this label. Repeatable.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.pass_obj
def list_artifacts(session: Session, kinds: tuple[str, ...], labels: tuple[tuple[str, str], ...], limit: int) -> None:
    """Lists artifacts, newest first."""
    with session.client() as client:
        listing = client.artifacts.list(kinds=kinds, labels=dict(labels), page_size=min(limit, 1000))
        found = list(islice(listing, limit))
    session.show({"artifacts": found}, lambda: render_artifacts(found))


@artifacts.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@click.pass_obj
def show(session: Session, artifact_id: str) -> None:
    """Shows an artifact: where it lies, what was measured, what it was made from and what was made from it."""
    with session.client() as client:
        answer = client.artifacts.get(artifact_id)
    session.show(answer, lambda: render_artifact(answer))


@artifacts.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@click.argument("file")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; default: its name, here.")
@click.pass_obj
def download(session: Session, artifact_id: str, file: str, output: Path | None) -> None:
    """Fetches one of an artifact's files through the gateway, and checks it."""
    path = output or Path(PurePosixPath(file).name)
    with session.client() as client:
        size = fetch(client, artifact_id, file, path)
    session.show({"path": str(path), "bytes": size}, lambda: Text(f"wrote {path}"))


@artifacts.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@click.option("--name", help="New name.")
@click.option("--description", help="New description.")
@click.option("--label", "labels", type=Pair(), multiple=True, help="A label to add or change. Repeatable.")
@click.option("--remove-label", "removed", metavar="KEY", multiple=True, help="A label to remove. Repeatable.")
@click.pass_obj
def update(  # noqa: PLR0917 - click passes them by name
    session: Session,
    artifact_id: str,
    name: str | None,
    description: str | None,
    labels: tuple[tuple[str, str], ...],
    removed: tuple[str, ...],
) -> int:
    """Changes name, description and labels, and waits until it is done."""
    with session.client() as client:
        job = client.artifacts.update(
            artifact_id, display_name=name, description=description, set_labels=dict(labels), remove_labels=removed
        )
    return watch_to_end(session, [job.proto])


@artifacts.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@click.pass_obj
def delete(session: Session, artifact_id: str) -> int:
    """Deletes an artifact from which nothing was made, and waits until it is done."""
    with session.client() as client:
        job = client.artifacts.delete(artifact_id)
    return watch_to_end(session, [job.proto])
